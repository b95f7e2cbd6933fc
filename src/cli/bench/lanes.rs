//! The servers under test, each with a way to it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use rustix::net::sockopt;
use tunstack::core::addr::Prefix;
use tunstack::device::Device;
use tunstack::device::error::DeviceError;
use tunstack::device::netlink;
use tunstack::device::setup::{Offload, TunConfig, bring_up};
use tunstack::device::steer::{self, Unsteered};

use super::super::apart::needs_root;
use super::super::output::Failure;
use super::super::run::{device_failure, own_device_failure};
use super::child::{Child, Count};
use super::plan::{OWN, Plan};
use super::proc;

/// The load generator's end of the way to the kernel's server, and the server's.
const NEAR: &str = "veth0";
pub(super) const FAR: &str = "veth1";
const NEAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 1);
pub(super) const FAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 2);
pub(super) const PREFIX: u8 = 24;

const TIME_WAITS: &str = "tcp_max_tw_buckets";

/// The settings of both namespaces: nothing is remembered from one run to the next, and there are ports and TIME-WAIT for a
/// million connections.
const SETTINGS: [(&str, &str); 5] = [
    ("tcp_no_metrics_save", "1"),
    ("ip_local_port_range", "1024 65535"),
    ("tcp_tw_reuse", "1"),
    (TIME_WAITS, "1000000"),
    // A server that does not answer is one after seven seconds.
    ("tcp_syn_retries", "2"),
];

/// What the kernel's sockets use at either end, whatever is the host's default. A namespace cannot have it as its own:
/// only the first one has a default that is not open to all.
const CONGESTION_CONTROL: &str = "cubic";

/// The device of the far end of idle connections.
pub(super) const IDLE: &str = "idle0";

/// A server and where it is.
pub(super) struct Lane {
    /// What the table calls it.
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    child: Child,
}

impl Lane {
    pub(super) const fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), port)
    }

    pub(super) fn count(&mut self) -> Result<Count, Failure> {
        self.child.count()
    }

    /// How the server has ended, in words, if it has.
    pub(super) fn end(&mut self) -> Option<String> {
        self.child.end()
    }

    pub(super) fn cpu(&self) -> Result<proc::Cpu, Failure> {
        proc::cpu(self.child.pid())
    }

    pub(super) fn resident(&self) -> Result<f64, Failure> {
        proc::resident(self.child.pid())
    }
}

/// How many servers there are.
pub(super) const fn count(plan: &Plan) -> usize {
    2 + plan.peers.len()
}

/// Starts server number `n`: the kernel's, this stack's, and then the peers'.
pub(super) fn start(n: usize, plan: &Plan) -> Result<Lane, Failure> {
    match n {
        0 => kernel(plan),
        OWN => stack(plan),
        _ => peer(n, plan),
    }
}

/// Prepares the load generator's namespace, and says whether this stack's device will be one with offload.
pub(super) fn prepare(plan: &Plan) -> Result<Offload, Failure> {
    // Whoever may make a namespace need not be its root.
    netlink::set_up("lo", true).map_err(|_| needs_root("a benchmark"))?;
    // That there is a device is found out before anything is measured.
    let probe = TunConfig { offload: plan.offload, gro: plan.gro, ..tun(plan.mtu) };
    let probe = bring_up(&probe).map_err(own_device_failure)?;
    if plan.steer {
        steer(probe.name(), 1)?;
    }
    let able = probe.capabilities();
    drop(probe);
    let without = |e: io::Error| {
        let name = CONGESTION_CONTROL;
        Failure::of(format!("the kernel cannot use {name} (modprobe tcp_{name})"), &e)
    };
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(set_congestion_control);
    socket.map_err(without)?;
    settings()?;
    Ok(if able.checksum_offload { Offload::On } else { Offload::Off })
}

/// Sees to the machine's table, which does not show in a namespace of this program's own.
pub(super) fn steer_machine() -> Result<(), Failure> {
    match steer::machine() {
        Ok(()) => Ok(()),
        Err(why @ Unsteered::Hidden) => {
            tracing::warn!("--steer: {why}");
            Ok(())
        }
        Err(why) => Err(steering_failure(&why)),
    }
}

/// Has the flows of the device `name` steered, for which [`steer_machine`] was called outside.
pub(super) fn steer(name: &str, queues: u16) -> Result<(), Failure> {
    // It goes with the benchmark.
    let _ = steer::device(name, queues).map_err(|why| steering_failure(&why))?;
    Ok(())
}

fn steering_failure(why: &Unsteered) -> Failure {
    Failure::Failed(format!("--steer: {why}"))
}

/// Sets what both namespaces have in common.
pub(super) fn settings() -> Result<(), Failure> {
    SETTINGS.iter().try_for_each(|(name, value)| set(name, value))
}

fn set(name: &str, value: &str) -> Result<(), Failure> {
    let path = format!("/proc/sys/net/ipv4/{name}");
    fs::write(&path, value).map_err(|e| Failure::of(format!("cannot set {path}"), &e))
}

/// Makes a socket of the kernel use the congestion control of all.
pub(super) fn set_congestion_control(socket: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_tcp_congestion(socket, CONGESTION_CONTROL)?)
}

fn own(plan: &Plan, part: [&str; 2]) -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::of("this program is not to be found", &e))?;
    let mut command = Command::new(program);
    command.args(["bench", "--log", "warn"]).args(part);
    command.args(["--mtu", &plan.mtu.to_string(), "--offload", plan.offload_text()]);
    command.args(["--shards", &plan.shards.to_string()]);
    if !plan.uring {
        command.arg("--no-uring");
    }
    if plan.steer {
        command.arg("--steer");
    }
    if plan.gro {
        command.arg("--gro");
    }
    if let Some(time) = plan.spin {
        command.args(["--spin", &microseconds(time)]);
    }
    Ok(command)
}

/// As an argument: to the nanosecond, since less than a microsecond is a time, too.
fn microseconds(time: Duration) -> String {
    format!("{}us", time.as_nanos() as f64 / 1e3)
}

fn kernel(plan: &Plan) -> Result<Lane, Failure> {
    let own = own(plan, ["--serve", "kernel"])?;
    let mut command = Command::new("unshare");
    command.args(["-n", "--"]).arg(own.get_program()).args(own.get_args());
    let mut child = Child::start("the kernel's server", &mut command)?;
    // Its namespace is there.
    child.hear("here")?;
    // That of a server before this one goes with its namespace, some time after it has ended.
    if netlink::link(NEAR).map_err(device_failure)?.is_some() {
        match netlink::delete_link(NEAR) {
            Ok(()) | Err(DeviceError::Missing { .. }) => {}
            Err(e) => return Err(device_failure(e)),
        }
    }
    netlink::add_veth(NEAR, FAR, child.pid()).map_err(device_failure)?;
    netlink::set_mtu(NEAR, plan.mtu).map_err(device_failure)?;
    netlink::add_address(NEAR, NEAR_ADDRESS.into(), PREFIX, None).map_err(device_failure)?;
    netlink::set_up(NEAR, true).map_err(device_failure)?;
    child.say("linked")?;
    let name = child.hear("ready")?;
    Ok(Lane { name, address: FAR_ADDRESS, child })
}

/// The far end of idle connections.
pub(super) struct Far {
    child: Child,
    _short: ShortMemory,
}

/// The client's own memory of what it closed is not to grow from sample to sample.
struct ShortMemory;

impl ShortMemory {
    fn set() -> Result<Self, Failure> {
        set(TIME_WAITS, "4096")?;
        Ok(Self)
    }
}

impl Drop for ShortMemory {
    fn drop(&mut self) {
        // It was set before, so it can be.
        let _ = settings();
    }
}

impl Far {
    /// Starts it, for no more than `most` connections without further ones, and lets the kernel forward between it and this
    /// stack's server.
    pub(super) fn start(plan: &Plan, most: usize) -> Result<Self, Failure> {
        set("ip_forward", "1")?;
        let short = ShortMemory::set()?;
        let mut command = own(plan, ["--far", &most.to_string()])?;
        let mut child = Child::start("the far end of idle connections", &mut command)?;
        child.hear("ready")?;
        Ok(Self { child, _short: short })
    }

    /// Opens so many connections that are to stand, and gives how long that took, seconds.
    pub(super) fn open(&mut self, count: usize) -> Result<f64, Failure> {
        self.ask("open", "opened", count)
    }

    /// The same for further ones, which are closed at once.
    pub(super) fn further(&mut self, count: usize) -> Result<f64, Failure> {
        let time = self.ask("further", "opened", count)?;
        self.close(count)?;
        Ok(time)
    }

    /// Closes so many, those that were opened last, and gives how long that took until the server had closed, too.
    pub(super) fn close(&mut self, count: usize) -> Result<f64, Failure> {
        self.ask("close", "closed", count)
    }

    fn ask(&mut self, what: &str, done: &str, count: usize) -> Result<f64, Failure> {
        self.child.say(&format!("{what} {count}"))?;
        let said = self.child.hear(done)?;
        said.parse().map_err(|_| Failure::Failed(format!("{done} in {said:?}, not a number of seconds")))
    }
}

/// The device of this stack.
pub(super) fn tun(mtu: u32) -> TunConfig {
    TunConfig { mtu, addr6: None, ..TunConfig::default() }
}

fn stack(plan: &Plan) -> Result<Lane, Failure> {
    let mut child = Child::start("this stack's server", &mut own(plan, ["--serve", "stack"])?)?;
    let name = child.hear("ready")?;
    let own = tun(plan.mtu).addr.map(|prefix| prefix.address.ip());
    let Some(IpAddr::V4(address)) = own else {
        return Err(Failure::Failed("the stack has no IPv4 address".to_owned()));
    };
    Ok(Lane { name, address, child })
}

fn peer(n: usize, plan: &Plan) -> Result<Lane, Failure> {
    let (Ok(net), Some(shell)) = (u8::try_from(n + 7), plan.peers.get(n - 2)) else {
        return Err(Failure::Usage("--peer-command: that many are too many".to_owned()));
    };
    let end = |host: u8| Ipv4Addr::new(10, net, 0, host);
    let prefix = |ip: Ipv4Addr| Prefix::new(ip.into(), PREFIX).to_string();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {shell}")]);
    command
        .env("TUNSTACK_BENCH_DEV", format!("tun{n}"))
        .env("TUNSTACK_BENCH_ADDR", prefix(end(2)))
        .env("TUNSTACK_BENCH_HOST", prefix(end(1)))
        .env("TUNSTACK_BENCH_MTU", plan.mtu.to_string());
    let mut child = Child::start(shell, &mut command)?;
    let name = child.hear("ready")?;
    Ok(Lane { name, address: end(2), child })
}

#[cfg(test)]
mod tests {
    use super::super::super::link;
    use super::*;

    #[test]
    fn no_time_of_looking_becomes_another() {
        for nanoseconds in [0, 1, 500, 999, 1000, 20_000, 50_001, 1_000_000_000] {
            let time = Duration::from_nanos(nanoseconds);
            assert_eq!(link::duration(&microseconds(time)), Some(time));
        }
    }
}

//! One run: a device, a link before it, a sender at one end and a receiver at the other.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tunstack::core::config::Config;
use tunstack::device::impair::Impair;
use tunstack::device::setup::{Offload, TunConfig, bring_up};
use tunstack::engine::Engine;
use tunstack::net;
use tunstack::sim::bottleneck::set_algorithm;

use super::super::super::output::Failure;
use super::super::super::run::device_failure;
use super::super::cells::Cell;
use super::super::setup::Setup;

const PORT: u16 = 5001;
/// Octets handed over in one call.
const PIECE: usize = 64 << 10;
/// The stack's buffers: beyond any window of these links.
const BUFFER: u32 = 16 << 20;
/// A run may take so many times what is expected; then what has come so far counts.
const PATIENCE: u32 = 6;

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sender {
    Kernel,
    Ours,
}

impl Sender {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Ours => "tunstack",
        }
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Octets that the receiving program has had.
    pub(super) octets: u64,
    /// From the call that connects to the last of them.
    pub(super) took: Duration,
    pub(super) retransmits: u64,
    pub(super) timeouts: u64,
    pub(super) probes: u64,
}

impl Sent {
    /// Bits a second.
    pub(super) fn goodput(&self) -> f64 {
        self.octets as f64 * 8.0 / self.took.as_secs_f64()
    }
}

/// Either end's stream.
trait Stream: Read + Write + Send + 'static {
    fn limit_waiting(&self, time: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn limit_waiting(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl Stream for net::TcpStream {
    fn limit_waiting(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

/// The seed that gives both senders the same luck: the way that carries the data draws the same numbers whoever sends.
///
/// An [`Impair`] takes the seed for the way out of this stack and its complement for the way in.
const fn seed_for(sender: Sender, seed: u64) -> u64 {
    match sender {
        Sender::Ours => seed,
        Sender::Kernel => !seed,
    }
}

pub(super) fn run(
    sender: Sender,
    algorithm: &str,
    cell: &Cell,
    setup: &Setup,
    seed: u64,
) -> Result<Sent, Failure> {
    let failed = |what: &'static str| move |e: io::Error| Failure::of(what, &e);
    let mtu = u32::from(setup.mtu);
    let device = TunConfig { mtu, addr6: None, offload: Offload::Off, ..TunConfig::default() };
    let tun = bring_up(&device).map_err(device_failure)?;
    let mut config =
        Config { addresses: device.addr.into_iter().collect(), mtu: setup.mtu, ..Config::default() };
    config.tcp.send_buffer = BUFFER;
    config.tcp.receive_buffer = BUFFER;
    config.tcp.slow_start_pacing = setup.pace_slow_start;
    set_algorithm(&mut config, algorithm).map_err(|e| Failure::Failed(e.to_string()))?;
    let link = Impair::new(tun, cell.link, cell.link, seed_for(sender, seed));
    let engine = Engine::builder().config(config).device(link).start();
    let engine = engine.map_err(failed("cannot start the stack"))?;
    let at = |prefix: Option<tunstack::core::addr::Prefix>| {
        let prefix = prefix.ok_or_else(|| Failure::Failed("the device has no address".to_owned()))?;
        Ok(SocketAddr::new(prefix.address.ip(), PORT))
    };
    let expected = setup.seconds.max(Duration::from_secs(2));
    let before = Counts::of_kernel()?;
    let result = match sender {
        Sender::Kernel => {
            let listener = engine.listen(at(device.addr)?).map_err(failed("cannot listen"))?;
            let begun = Instant::now();
            let stream = connect_with(algorithm, at(device.addr)?)?;
            let (other, _) = listener.accept().map_err(failed("cannot accept"))?;
            let (octets, took) = transfer(stream, other, cell.octets, begun, expected * PATIENCE)?;
            Counts::of_kernel()?.since(&before, octets, took)
        }
        Sender::Ours => {
            let listener =
                TcpListener::bind(at(device.host())?).map_err(failed("the kernel cannot listen"))?;
            let begun = Instant::now();
            let stream = net::TcpStream::connect_on(&engine, at(device.host())?);
            let stream = stream.map_err(failed("cannot connect"))?;
            let used = stream.info().map_err(failed("cannot look at the connection"))?.congestion;
            if used != algorithm {
                return Err(Failure::Failed(format!("a connection of {algorithm} uses {used}")));
            }
            let (other, _) = listener.accept().map_err(failed("the kernel cannot accept"))?;
            let (octets, took) = transfer(stream, other, cell.octets, begun, expected * PATIENCE)?;
            let counters = engine.counters();
            let named = |wanted| counters.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, n)| n);
            Sent {
                octets,
                took,
                retransmits: named("TcpRetransSegs"),
                timeouts: named("TcpExtTCPTimeouts"),
                probes: named("TcpExtTCPLossProbes"),
            }
        }
    };
    // The connections have done what they are for, and the device goes with them.
    match engine.shutdown(Duration::ZERO) {
        Err(e) if e.kind() != io::ErrorKind::TimedOut => Err(Failure::of("cannot stop the stack", &e)),
        _ => Ok(result),
    }
}

/// A stream of the kernel that has used `algorithm` from its first packet: one that begins with the host's default goes on
/// with its pacing.
fn connect_with(algorithm: &str, to: SocketAddr) -> Result<TcpStream, Failure> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let failed = |what: String| move |e: Errno| Failure::of(what, &e.into());
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let socket = socket.map_err(failed("the kernel has no socket".to_owned()))?;
    sockopt::set_tcp_congestion(&socket, algorithm)
        .map_err(failed(format!("the kernel cannot use {algorithm}")))?;
    rustix::net::connect(&socket, &to).map_err(failed("the kernel cannot connect".to_owned()))?;
    Ok(socket.into())
}

/// Sends so many octets and gives how many came, and how long that took.
fn transfer(
    mut from: impl Stream,
    mut to: impl Stream,
    octets: u64,
    begun: Instant,
    limit: Duration,
) -> Result<(u64, Duration), Failure> {
    let failed = |what: &'static str| move |e: io::Error| Failure::of(what, &e);
    from.limit_waiting(limit).map_err(failed("cannot limit a wait"))?;
    to.limit_waiting(limit).map_err(failed("cannot limit a wait"))?;
    let writer = thread::spawn(move || -> io::Result<()> {
        let piece = vec![0; PIECE];
        let mut left = octets;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            match from.write(&piece[..most]) {
                Ok(n) => left -= n as u64,
                // The receiver has given up, and says what came until then.
                Err(e) if ended(&e) => break,
                Err(e) => return Err(e),
            }
            if begun.elapsed() > limit {
                break;
            }
        }
        // Open until the receiver has all: it closes first.
        let mut rest = [0; 1];
        match from.read(&mut rest) {
            Ok(_) => Ok(()),
            Err(e) if ended(&e) => Ok(()),
            Err(e) => Err(e),
        }
    });
    let mut buffer = vec![0; PIECE];
    let mut came = 0;
    let mut last = begun.elapsed();
    while came < octets && last < limit {
        match to.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => came += n as u64,
            Err(e) if ended(&e) => break,
            Err(e) => return Err(Failure::of("cannot receive", &e)),
        }
        last = begun.elapsed();
    }
    drop(to);
    let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the sender panicked")));
    written.map_err(failed("cannot send"))?;
    Ok((came, last))
}

/// What happens at the end of a run: the time is up, or the other end has gone.
fn ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionReset | TimedOut | WouldBlock)
}

/// What the kernel has counted in this namespace.
struct Counts {
    retransmits: u64,
    timeouts: u64,
    probes: u64,
}

impl Counts {
    fn of_kernel() -> Result<Self, Failure> {
        let read =
            |path: &str| fs::read_to_string(path).map_err(|e| Failure::of(format!("cannot read {path}"), &e));
        let (snmp, netstat) = (read("/proc/net/snmp")?, read("/proc/net/netstat")?);
        Ok(Self {
            retransmits: counter(&snmp, "Tcp:", "RetransSegs"),
            timeouts: counter(&netstat, "TcpExt:", "TCPTimeouts"),
            probes: counter(&netstat, "TcpExt:", "TCPLossProbes"),
        })
    }

    const fn since(&self, before: &Self, octets: u64, took: Duration) -> Sent {
        Sent {
            octets,
            took,
            retransmits: self.retransmits - before.retransmits,
            timeouts: self.timeouts - before.timeouts,
            probes: self.probes - before.probes,
        }
    }
}

/// The counter `name` of a group: a line of names is followed by one of values.
fn counter(text: &str, group: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)).map(str::split_whitespace);
    let (Some(mut names), Some(mut values)) = (lines.next(), lines.next()) else { return 0 };
    names.position(|n| n == name).and_then(|at| values.nth(at)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use tunstack::core::packet::{Body, Checksum, Datagram};
    use tunstack::core::time::Instant;
    use tunstack::device::pipe::Pipe;
    use tunstack::device::{Device, Frames};

    use super::*;

    fn send(device: &impl Device, number: u8) {
        let body = Body::from_slice(&[]);
        let datagram =
            Datagram { head: &[number; 20], body, gso_size: 0, checksum: Checksum::Complete, event: None };
        device.send(Instant::ZERO, &datagram).unwrap();
    }

    fn arrived(device: &impl Device) -> Vec<u8> {
        let mut frames = Frames::new(256, 100);
        device.recv(Instant::ZERO, &mut frames).unwrap();
        frames.iter().map(|inbound| inbound.packet[0]).collect()
    }

    #[test]
    fn either_sender_has_the_same_luck() {
        let survivors = |sender: Sender| {
            let (near, far) = Pipe::pair(1500).unwrap();
            let link = "loss=50%".parse().unwrap();
            let near = Impair::new(near, link, link, seed_for(sender, 7));
            for number in 0..100 {
                match sender {
                    Sender::Ours => send(&near, number),
                    Sender::Kernel => send(&far, number),
                }
            }
            match sender {
                Sender::Ours => arrived(&far),
                Sender::Kernel => arrived(&near),
            }
        };
        let ours = survivors(Sender::Ours);
        assert!((25..75).contains(&ours.len()), "{}", ours.len());
        assert_eq!(ours, survivors(Sender::Kernel));
    }

    #[test]
    fn counters_of_the_kernel() {
        let text = "Ip: A B\nIp: 1 2\nTcp: RtoMin RetransSegs InErrs\nTcp: 200 7 0\n";
        assert_eq!(counter(text, "Tcp:", "RetransSegs"), 7);
        assert_eq!(counter(text, "Tcp:", "InErrs"), 0);
        assert_eq!(counter(text, "Ip:", "B"), 2);
        assert_eq!(counter(text, "Udp:", "B"), 0);
    }
}

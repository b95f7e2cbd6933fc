//! What all commands share: the device, the capture, the engine, the runtime, signals, and the way back.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::device::Device;
use tunstack::device::error::DeviceError;
use tunstack::device::impair::Impair;
use tunstack::device::setup::{TunConfig, bring_up_queues};
use tunstack::engine::Engine;
use tunstack::net::{TcpListener, UdpSocket};

use super::common::Common;
use super::output::{Failure, Output, complain, why};
use super::recording::Recording;

/// How long connections may take to end when the program does.
const LINGER: Duration = Duration::from_secs(5);

/// A running stack and what a command needs beside it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) engine: Engine,
    pub(crate) out: Output,
    pub(crate) device: String,
    /// The stack's addresses.
    pub(crate) own: Vec<Prefix>,
    /// The host's addresses.
    pub(crate) hosts: Vec<Prefix>,
    command: &'static str,
    mtu: u32,
    offload: bool,
    stop: watch::Receiver<bool>,
    /// Directories to remove even when a second signal cuts the end short.
    temporary: Arc<Mutex<Vec<PathBuf>>>,
}

/// A service that a command offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) port: u16,
}

impl Session {
    /// Waits for the signal that ends the program.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // The sender lives as long as the runtime.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Does `work` unless a signal ends it before.
    pub(crate) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            result = work => result,
            () = self.stopped() => Err(Failure::Interrupted),
        }
    }

    /// Listens on a port of all own addresses. `flag` names the option that would choose another one.
    pub(crate) fn listen(&self, port: u16, flag: &str) -> Result<TcpListener, Failure> {
        self.engine.listen(self.any(port)).map_err(|e| in_use("TCP", port, flag, &e))
    }

    /// A UDP socket with a port of all own addresses.
    pub(crate) fn bind_udp(&self, port: u16, flag: &str) -> Result<UdpSocket, Failure> {
        self.engine.bind_udp(self.any(port)).map_err(|e| in_use("UDP", port, flag, &e))
    }

    /// A port of every address: `[::]` takes IPv4 as well.
    pub(crate) fn any(&self, port: u16) -> SocketAddr {
        let v6 = self.own.iter().any(|p| !p.address.is_v4());
        let any = if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
        SocketAddr::new(any, port)
    }

    /// The stack's addresses with a port.
    pub(crate) fn at(&self, port: u16) -> Vec<SocketAddr> {
        self.own.iter().map(|p| SocketAddr::new(p.address.ip(), port)).collect()
    }

    /// Where pages are: `http://10.7.0.2` and the like.
    pub(crate) fn urls(&self, port: u16) -> Vec<String> {
        let url = |a: SocketAddr| match (port, a) {
            (80, SocketAddr::V4(a)) => format!("http://{}/", a.ip()),
            (80, SocketAddr::V6(a)) => format!("http://[{}]/", a.ip()),
            (_, a) => format!("http://{a}/"),
        };
        self.at(port).into_iter().map(url).collect()
    }

    /// The addresses that the host's resolver knows for a name, of the families that the stack speaks.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let name = (host.to_owned(), port);
        let found = tokio::task::spawn_blocking(move || std::net::ToSocketAddrs::to_socket_addrs(&name));
        let found = found.await.map_err(|e| Failure::Failed(format!("cannot look up {host}: {e}")))?;
        let found: Vec<_> = found.map_err(|e| Failure::of(format!("cannot look up {host}"), &e))?.collect();
        let speaks = |a: &SocketAddr| self.own.iter().any(|p| p.address.is_v4() == a.is_ipv4());
        let usable: Vec<_> = found.iter().copied().filter(speaks).collect();
        if usable.is_empty() {
            return Err(Failure::Failed(format!("{host} has no address of a family that the stack speaks")));
        }
        Ok(usable)
    }

    /// Says that all is set up: an object for programs, `lines` for people.
    pub(crate) fn ready(&self, services: &[Service], lines: impl FnOnce() -> String) {
        let services = || {
            let service = |s: &Service| {
                let at: Vec<_> = self.at(s.port).iter().map(ToString::to_string).collect();
                json!({ "name": s.name, "protocol": s.protocol, "port": s.port, "addresses": at })
            };
            services.iter().map(service).collect::<Vec<_>>()
        };
        let names = |of: &[Prefix]| of.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.out.say(lines, || {
            json!({
                "event": "ready",
                "command": self.command,
                "pid": std::process::id(),
                "device": self.device,
                "mtu": self.mtu,
                "offload": self.offload,
                "addresses": names(&self.own),
                "host": names(&self.hosts),
                "services": services(),
            })
        });
    }

    /// Removes this directory and all in it when the program ends.
    pub(crate) fn remove_at_end(&self, dir: PathBuf) {
        self.temporary.lock().unwrap_or_else(PoisonError::into_inner).push(dir);
    }

    /// What a failed call means: the device may be gone, which matters more than what it brought about.
    pub(crate) fn failed(&self, what: impl std::fmt::Display, error: &io::Error) -> Failure {
        match self.engine.check() {
            Err(cause) => Failure::Failed(why(&cause)),
            Ok(()) => Failure::of(what, error),
        }
    }
}

fn in_use(protocol: &str, port: u16, flag: &str, error: &io::Error) -> Failure {
    let what = format!("cannot use {protocol} port {port}");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::Failed(format!("{what}: it is in use already: choose another with {flag}"))
        }
        _ => Failure::of(what, error),
    }
}

/// The device as the command line describes it.
pub(crate) fn tun_config(common: &Common) -> TunConfig {
    TunConfig {
        name: Some(common.dev.clone()),
        addr: Some(common.addr),
        peer: common.peer.map(Into::into),
        addr6: (!common.no_ipv6).then_some(common.addr6),
        peer6: common.peer6.map(Into::into),
        mtu: common.mtu,
        offload: common.offload,
        queues: common.shards,
        uring: !common.no_uring,
        steer: common.steer,
        gro: common.gro,
    }
}

/// A device's error, where it is this command that makes the device: nobody else can have its flows steered, or joined.
pub(crate) fn own_device_failure(error: DeviceError) -> Failure {
    match error {
        DeviceError::Unsteered { name, why } => {
            Failure::Failed(format!("cannot steer the flows of {name}: {why}"))
        }
        DeviceError::NoGro { name, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::Failed(format!("no right to set gro_flush_timeout of {name}: run as root of the host"))
        }
        error => device_failure(error),
    }
}

/// A device's error, with the flags that would help.
pub(crate) fn device_failure(error: DeviceError) -> Failure {
    match error {
        DeviceError::Invalid { field, why } => {
            let hints = [
                ("go without IPv6", " (--no-ipv6)"),
                ("go without offload", " (--offload off)"),
                ("go with one queue", " (--shards 1)"),
            ];
            let hint = hints.iter().find(|(end, _)| why.ends_with(end)).map_or("", |(_, hint)| hint);
            Failure::Usage(format!("--{field}: {why}{hint}"))
        }
        DeviceError::Name { .. } => Failure::Usage(format!("--dev: {error}")),
        DeviceError::Busy { .. } | DeviceError::NotTun { .. } => Failure::Failed(format!("{error} (--dev)")),
        DeviceError::Lacking { what } if what.starts_with("GRO") => {
            Failure::Failed(format!("{error} (no --gro)"))
        }
        DeviceError::Lacking { .. } => Failure::Failed(format!("{error} (--offload off)")),
        DeviceError::NoIpv6 { .. } => Failure::Failed(format!("{error} (--no-ipv6)")),
        DeviceError::InUse { wanted, .. } => {
            let flags = if wanted.address.is_v4() { "--addr, --peer" } else { "--addr6, --peer6" };
            Failure::Failed(format!("{error} ({flags})"))
        }
        _ => Failure::Failed(error.to_string()),
    }
}

/// Makes the device, the capture and the engine, does `work` with them on a runtime, and takes all down
/// again, in order.
pub(crate) fn run<Work, Done>(
    common: &Common,
    command: &'static str,
    out: Output,
    work: Work,
) -> Result<(), Failure>
where
    Work: FnOnce(Arc<Session>) -> Done,
    Done: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let begun = Instant::now();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::of("cannot start threads", &e))?;
    let (stop_sender, stop) = watch::channel(false);
    let temporary = Arc::default();
    // From here on a signal is no sudden death any more.
    watch_signals(&runtime, stop_sender, Arc::clone(&temporary))?;

    let config = tun_config(common);
    let in_one_file = [("--link", common.link.is_some()), ("--pcap", common.pcap.is_some())];
    if let Some((flag, _)) = in_one_file.iter().find(|(_, given)| *given && common.shards > 1) {
        return Err(Failure::Usage(format!("{flag} goes with one shard only (--shards 1)")));
    }
    let queues = bring_up_queues(&config).map_err(device_failure)?;
    let device = queues.first().map(|queue| queue.name().to_owned()).unwrap_or_default();
    let own: Vec<_> = config.addr.into_iter().chain(config.addr6).collect();
    let settings = Config {
        addresses: own.clone(),
        trace: common.pcap.is_some(),
        memory: common.mem,
        ..Config::default()
    };
    let builder = Engine::builder().config(settings);
    let builder = match common.spin {
        Some(time) => builder.spin(time),
        None => builder,
    };
    let mut queues: Vec<Box<dyn Device>> = match common.link {
        Some(link) => {
            let impair = |queue| Box::new(Impair::new(queue, link, link, seed())) as Box<dyn Device>;
            queues.into_iter().map(impair).collect()
        }
        None => queues.into_iter().map(|queue| Box::new(queue) as Box<dyn Device>).collect(),
    };
    let offload = queues.iter().all(|queue| queue.capabilities().checksum_offload);
    let (recording, builder) = match (common.pcap.clone(), queues.pop()) {
        (Some(path), Some(only)) => {
            let recording = Recording::start(path, &device, only, common.pcap_split)?;
            let builder = builder.device(recording.capture());
            (Some(recording), builder)
        }
        (_, last) => (None, builder.queues(queues.into_iter().chain(last))),
    };
    let engine = builder.start().map_err(|e| Failure::of("cannot start the stack", &e))?;
    let session = Arc::new(Session {
        engine,
        out,
        device,
        own,
        hosts: config.host().into_iter().chain(config.host6()).collect(),
        command,
        mtu: common.mtu,
        offload,
        stop,
        temporary,
    });
    let work = work(Arc::clone(&session));
    // A task, so that the signals are heard whatever it does with its thread.
    let done = runtime.block_on(runtime.spawn(work));
    let done = done.unwrap_or_else(|e| Err(Failure::Failed(format!("this is a bug in tunstack: {e}"))));
    let result = wind_up(&session, recording, done, begun);
    // What its tasks hold is let go, and then the device.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Ends the connections, the capture and what is temporary; then the device goes with the session.
fn wind_up(
    session: &Session,
    recording: Option<Recording>,
    done: Result<(), Failure>,
    begun: Instant,
) -> Result<(), Failure> {
    match session.engine.shutdown(LINGER) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::TimedOut => {
            tracing::warn!("connections that did not end in {} s were reset", LINGER.as_secs());
        }
        // The command has met with it too.
        Err(e) => tracing::debug!("shutdown: {e}"),
    }
    let captured = recording.map_or(Ok(()), Recording::finish);
    remove_all(&session.temporary);
    session.out.object(|| {
        let counters: serde_json::Map<_, _> = session
            .engine
            .counters()
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| (name.to_owned(), Value::from(n)))
            .collect();
        json!({
            "event": "summary",
            "command": session.command,
            "ok": done.is_ok() && captured.is_ok(),
            "seconds": begun.elapsed().as_secs_f64(),
            "counters": counters,
        })
    });
    match (done, captured) {
        (Ok(()), captured) => captured,
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(Failure::Failed(capture))) => {
            complain(&capture);
            Err(failure)
        }
        (Err(failure), Err(_)) => Err(failure),
    }
}

fn remove_all(temporary: &Mutex<Vec<PathBuf>>) {
    for dir in temporary.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        if let Err(e) = std::fs::remove_dir_all(&dir) {
            tracing::warn!("cannot remove {}: {}", dir.display(), why(&e));
        }
    }
}

/// The first signal asks for an orderly end, the second ends at once.
fn watch_signals(
    runtime: &runtime::Runtime,
    stop: watch::Sender<bool>,
    temporary: Arc<Mutex<Vec<PathBuf>>>,
) -> Result<(), Failure> {
    let _inside = runtime.enter();
    let of = |kind| signal(kind).map_err(|e| Failure::of("cannot listen for signals", &e));
    let mut signals = [of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?];
    runtime.spawn(async move {
        any(&mut signals).await;
        tracing::info!("closing connections; once more to end at once");
        stop.send_replace(true);
        any(&mut signals).await;
        remove_all(&temporary);
        std::process::exit(130);
    });
    Ok(())
}

async fn any([a, b, c]: &mut [Signal; 3]) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
        _ = c.recv() => {}
    }
}

fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64 ^ u64::from(std::process::id())
}

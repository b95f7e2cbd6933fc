//! What the examples share: the flags that describe the device, the stack on it, and Ctrl-C.
//!
//! ```ignore
//! mod common;
//!
//! #[derive(clap::Parser)]
//! struct Args {
//!     #[command(flatten)]
//!     host: common::HostArgs,
//! }
//!
//! fn main() -> common::Done {
//!     let host = Args::parse().host.up()?;
//!     let listener = host.engine.listen(host.any(7))?;
//!     host.serving("echo over TCP", 7);
//!     let ending = host.shut_down_on_ctrl_c(); // or a loop of your own, which looks at `host.ctrl_c`
//!     loop {
//!         match listener.accept() {
//!             Ok((stream, _)) => _ = thread::spawn(move || echo(stream)),
//!             Err(error) if host.ended(&error)? => return ending.wait(),
//!             Err(_) => {} // that one was reset before its turn
//!         }
//!     }
//! }
//! ```
#![allow(dead_code)] // no example needs all of it

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
// It shares its handlers with tokio's `signal`, and hands a signal on as an octet in a socket, for which `select`
// and its kin can wait.
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use tunstack::bsd::Sockets;
use tunstack::bsd::abi::{AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOMAXCONN};
use tunstack::core::addr::Prefix;
use tunstack::prelude::*;

/// How long connections may take to end when the program does.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// As `eprintln!`, but with nobody there to read it the program goes on.
macro_rules! complain {
    ($($what:tt)*) => {
        _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($what)*)))
    };
}
#[allow(unused_imports)] // no example needs all of it
pub(crate) use complain;

/// The flags for the device and the addresses, by the names that the program `tunstack` has for them.
#[derive(clap::Args, Debug, Clone)]
#[command(max_term_width = 100)]
pub(crate) struct HostArgs {
    /// The TUN device: made if it is not there
    #[arg(long, alias = "name", value_name = "NAME", default_value = "tun0")]
    pub(crate) dev: String,
    /// The stack's own IPv4 address, with the length of the prefix that it shares with the host
    #[arg(long, alias = "address", value_name = "A/LEN", default_value = "10.7.0.2/24", value_parser = prefix)]
    pub(crate) addr: Prefix,
    /// The stack's own IPv6 address
    #[arg(long, alias = "address6", value_name = "A/LEN", default_value = "fd07::2/64", value_parser = prefix)]
    pub(crate) addr6: Prefix,
    /// Do without IPv6
    #[arg(long)]
    pub(crate) no_ipv6: bool,
}

impl HostArgs {
    /// Brings the device up and starts a stack on it. From then on Ctrl-C is no sudden death any more.
    pub(crate) fn up(&self) -> Result<Host, Failure> {
        let ctrl_c = CtrlC::catch()?;
        let config = Config { addresses: self.addresses(), ..Config::default() };
        let engine = Engine::builder().device(bring_up(&self.tun())?).config(config).start()?;
        Ok(Host { engine, ctrl_c, args: self.clone() })
    }

    /// The device.
    pub(crate) fn tun(&self) -> TunConfig {
        let addr6 = (!self.no_ipv6).then_some(self.addr6);
        TunConfig { name: Some(self.dev.clone()), addr: Some(self.addr), addr6, ..TunConfig::default() }
    }

    /// The stack's own addresses.
    pub(crate) fn addresses(&self) -> Vec<Prefix> {
        [self.addr].into_iter().chain((!self.no_ipv6).then_some(self.addr6)).collect()
    }

    /// A port of every address of the stack: `[::]` takes IPv4 as well.
    pub(crate) fn any(&self, port: u16) -> SocketAddr {
        let any: IpAddr =
            if self.no_ipv6 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        SocketAddr::new(any, port)
    }

    /// Says on standard output that all is set up, and where.
    pub(crate) fn serving(&self, what: &str, port: u16) {
        let at: Vec<_> =
            self.addresses().iter().map(|own| SocketAddr::new(own.address.ip(), port).to_string()).collect();
        // A server serves on though nobody reads that: `println` would end it.
        let _ = writeln!(io::stdout(), "serving {what} on {}; Ctrl-C ends it", at.join(" and "));
    }
}

/// An address with the length of its prefix.
fn prefix(text: &str) -> Result<Prefix, String> {
    let example = || format!("{text:?} is no address with the length of its prefix, such as 10.7.0.2/24");
    let (address, length) = text.split_once('/').ok_or_else(example)?;
    let address: IpAddr = address.parse().map_err(|_| example())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    match length.parse() {
        Ok(length) if length <= most => Ok(Prefix::new(address.into(), length)),
        _ => Err(format!("{length:?} is no length of a prefix: a number up to {most}")),
    }
}

/// A stack that is up.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) ctrl_c: CtrlC,
    args: HostArgs,
}

impl Host {
    /// As [`HostArgs::any`].
    pub(crate) fn any(&self, port: u16) -> SocketAddr {
        self.args.any(port)
    }

    /// The stack's addresses.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.args.addresses().iter().map(|own| own.address.ip()).collect()
    }

    /// As [`HostArgs::serving`].
    pub(crate) fn serving(&self, what: &str, port: u16) {
        self.args.serving(what, port);
    }

    /// At Ctrl-C ends the connections in order, and then the engine: every call that waits gives an error, of
    /// which [`ended`](Self::ended) knows.
    pub(crate) fn shut_down_on_ctrl_c(&self) -> Ending {
        let (engine, ctrl_c) = (self.engine.clone(), self.ctrl_c.clone());
        Ending(thread::spawn(move || {
            ctrl_c.wait()?;
            shut_down(&engine)
        }))
    }

    /// Ends the connections in order, and then the engine. What takes longer than some seconds is reset.
    pub(crate) fn shut_down(&self) -> Done {
        shut_down(&self.engine)
    }

    /// Whether a call failed because the engine was shut down. Fails itself if the device has.
    pub(crate) fn ended(&self, error: &io::Error) -> Result<bool, Failure> {
        if error.raw_os_error() == Some(libc::ESHUTDOWN) {
            return Ok(true);
        }
        self.engine.check()?;
        Ok(false)
    }
}

/// Lets the process have as many descriptors as it may, and says for how many connections they are enough: a socket
/// of the system-call face takes three.
pub(crate) fn many_descriptors() -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let most = limit.maximum.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    Ok(most.saturating_sub(64) / 3)
}

/// A listener that does not wait, in the words of system calls.
pub(crate) fn listen(sys: &Sockets, address: &SocketAddr) -> tunstack::bsd::Result<RawFd> {
    let domain = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    let listener = sys.socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)?;
    sys.bind(listener, address)?;
    sys.listen(listener, SOMAXCONN)?;
    Ok(listener)
}

fn shut_down(engine: &Engine) -> Done {
    match engine.shutdown(LINGER) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let late = format_args!("connections that did not end in {} s were reset", LINGER.as_secs());
            complain!("{late}");
            Ok(())
        }
        ended => Ok(ended?),
    }
}

/// The end that [`Host::shut_down_on_ctrl_c`] brings about.
pub(crate) struct Ending(JoinHandle<Done>);

impl Ending {
    /// Waits for it.
    pub(crate) fn wait(self) -> Done {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Ctrl-C or SIGTERM, once it has come: a descriptor that is readable from then on, for all clones and for ever.
/// A second one ends the program at once, with exit code 130.
#[derive(Clone, Debug)]
pub(crate) struct CtrlC(Arc<UnixStream>);

impl CtrlC {
    /// From now on.
    pub(crate) fn catch() -> io::Result<Self> {
        let (heard, told) = UnixStream::pair()?;
        let once = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second one finds the flag set.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&once))?;
            flag::register(signal, Arc::clone(&once))?;
            pipe::register(signal, told.try_clone()?)?;
        }
        Ok(Self(Arc::new(heard)))
    }

    /// Waits for it on this thread.
    pub(crate) fn wait(&self) -> io::Result<()> {
        retry_on_intr(|| poll(&mut [PollFd::new(self, PollFlags::IN)], None))?;
        Ok(())
    }

    /// Waits for it as a task of tokio's.
    pub(crate) async fn come(&self) -> io::Result<()> {
        let heard = self.0.try_clone()?;
        heard.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(heard)?.readable().await
    }
}

impl AsFd for CtrlC {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What `main` gives: an error becomes one line on standard error and exit code 1.
pub(crate) type Done = Result<(), Failure>;

/// Any error, in a line for people.
pub(crate) struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Failure {
    /// An error and what it came from: `cannot read zone: No such file or directory`.
    pub(crate) fn of(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// What is printed of an error that `main` gives.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

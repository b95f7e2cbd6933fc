//! The far end of idle connections: a stack with many addresses behind a TUN of its own. The kernel forwards between it and
//! the server, and has a socket for none of them.
//!
//! Standard input says `open N` or `close N`; the answer is `opened` or `closed` and the seconds that it took. The last
//! that were opened are closed first, by this end, which has TIME-WAIT after them then.

use std::io::{self, BufRead, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::device::setup::{TunConfig, bring_up_queues};
use tunstack::engine::Engine;
use tunstack::net::{TcpSocket, TcpStream};
use tunstack::poll::{Events, Interest, Poll, Token};

use super::super::super::common::Common;
use super::super::super::output::Failure;
use super::super::super::run::device_failure;
use super::super::lanes;
use super::{CROWD, say};

/// Opened or closed at a time: fewer than wait to be accepted, or than the device's queue holds.
const IN_FLIGHT: usize = 256;
/// A server that does nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(5);

/// The link: the kernel's end and, unused but there, the stack's.
const LINK: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);
const PREFIX: u8 = 12;
/// From here on each address has so many connections, from this port on.
const FIRST: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 1);
const A_ADDRESS: usize = 40_000;
const FIRST_PORT: u16 = 10_000;

/// Serves whoever measures until standard input ends. No more than `most` connections are opened.
pub(super) fn main(common: &Common, most: usize) -> Result<(), Failure> {
    let mut far = match Far::new(common, most) {
        Ok(far) => far,
        Err(Failure::Failed(why) | Failure::Usage(why)) => {
            say(format_args!("failed {why}"))?;
            return Err(Failure::Told);
        }
        Err(other) => return Err(other),
    };
    say(format_args!("ready idle"))?;
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (what, count) = line.split_once(' ').unwrap_or((&line, ""));
        let done = match (what, count.parse()) {
            ("open", Ok(count)) => far.open(count),
            ("close", Ok(count)) => far.close(count),
            _ => return Err(Failure::Failed(format!("told {line:?} instead of \"open N\" or \"close N\""))),
        };
        match done {
            Ok(time) if what == "open" => say(format_args!("opened {}", time.as_secs_f64()))?,
            Ok(time) => say(format_args!("closed {}", time.as_secs_f64()))?,
            Err(e) => {
                let standing = far.streams.len();
                let failure =
                    Failure::of(format!("cannot {what} idle connections, with {standing} open"), &e);
                let Failure::Failed(why) = failure else { return Err(failure) };
                say(format_args!("failed {why}"))?;
                return Err(Failure::Told);
            }
        }
    }
    Ok(())
}

/// The end of connection number `n`: no two are the same.
fn end(n: usize) -> SocketAddr {
    let address = u32::from(FIRST) + (n / A_ADDRESS) as u32;
    SocketAddr::from((Ipv4Addr::from(address), FIRST_PORT + (n % A_ADDRESS) as u16))
}

struct Far {
    engine: Engine,
    poll: Poll,
    events: Events,
    /// Those that stand.
    streams: Vec<TcpStream>,
    /// How many there have been.
    opened: usize,
    server: SocketAddr,
}

impl Far {
    fn new(common: &Common, most: usize) -> Result<Self, Failure> {
        let Some(server) = lanes::tun(common.mtu).addr.map(|prefix| prefix.address.ip()) else {
            return Err(Failure::Failed("the stack has no IPv4 address".to_owned()));
        };
        let tun = TunConfig {
            name: Some(lanes::IDLE.to_owned()),
            addr: Some(Prefix::new(LINK.into(), PREFIX)),
            offload: common.offload,
            ..lanes::tun(common.mtu)
        };
        let all = (0..=most / A_ADDRESS).map(|n| Prefix::new(end(n * A_ADDRESS).ip().into(), PREFIX));
        let config = Config { addresses: all.collect(), ..Config::default() };
        let queues = bring_up_queues(&tun).map_err(device_failure)?;
        let engine = Engine::builder().config(config).queues(queues).start();
        let cannot = |e| Failure::of("cannot start the far stack", &e);
        Ok(Self {
            engine: engine.map_err(cannot)?,
            poll: Poll::new().map_err(cannot)?,
            events: Events::with_capacity(IN_FLIGHT),
            streams: Vec::new(),
            opened: 0,
            server: SocketAddr::new(server, CROWD),
        })
    }

    fn open(&mut self, count: usize) -> io::Result<Duration> {
        self.each(count, Interest::WRITABLE, Self::begin_to_open, |far, stream| {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            stream.peer_addr()?;
            far.streams.push(stream);
            Ok(None)
        })
    }

    fn begin_to_open(&mut self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4(&self.engine)?;
        socket.bind(end(self.opened))?;
        self.opened += 1;
        socket.start_connect(self.server)
    }

    fn close(&mut self, count: usize) -> io::Result<Duration> {
        self.each(count.min(self.streams.len()), Interest::READABLE, Self::begin_to_close, |_, mut stream| {
            match stream.read(&mut [0]) {
                Ok(0) => Ok(None),
                Ok(_) => Err(io::ErrorKind::InvalidData.into()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Some(stream)),
                Err(e) => Err(e),
            }
        })
    }

    fn begin_to_close(&mut self) -> io::Result<TcpStream> {
        let stream = self.streams.pop().ok_or(io::ErrorKind::NotConnected)?;
        stream.set_nonblocking(true)?;
        stream.shutdown(Shutdown::Write)?;
        Ok(stream)
    }

    /// Begins so many things, some of them at a time, and goes on with each when the poll tells of its stream: `end` gives the
    /// stream back where there is more to wait for. Says how long all of it took.
    fn each(
        &mut self,
        count: usize,
        interest: Interest,
        begin: impl Fn(&mut Self) -> io::Result<TcpStream>,
        end: impl Fn(&mut Self, TcpStream) -> io::Result<Option<TcpStream>>,
    ) -> io::Result<Duration> {
        let begun = Instant::now();
        let mut waiting: Vec<Option<TcpStream>> = (0..IN_FLIGHT.min(count)).map(|_| None).collect();
        let mut free: Vec<usize> = (0..waiting.len()).collect();
        let mut left = count;
        let mut told = Vec::with_capacity(IN_FLIGHT);
        while left > 0 || free.len() < waiting.len() {
            while left > 0
                && let Some(place) = free.pop()
            {
                let mut stream = begin(self)?;
                self.poll.registry().register(&mut stream, Token(place), interest)?;
                waiting[place] = Some(stream);
                left -= 1;
            }
            match self.poll.poll(&mut self.events, Some(SILENCE)) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            if self.events.is_empty() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            told.extend(self.events.iter().map(|event| event.token().0));
            for place in told.drain(..) {
                let Some(mut stream) = waiting[place].take() else { continue };
                // Where it stays it is told of again, and while it stands idle nobody is to be told.
                self.poll.registry().deregister(&mut stream)?;
                match end(self, stream)? {
                    Some(mut stream) => {
                        self.poll.registry().register(&mut stream, Token(place), interest)?;
                        waiting[place] = Some(stream);
                    }
                    None => free.push(place),
                }
            }
        }
        Ok(begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn no_two_connections_have_the_same_end() {
        assert_eq!(end(0).to_string(), "172.16.1.1:10000");
        assert_eq!(end(A_ADDRESS - 1).to_string(), "172.16.1.1:49999");
        assert_eq!(end(A_ADDRESS).to_string(), "172.16.1.2:10000");
        // The most that can be asked for stay on the link.
        let link = Prefix::new(LINK.into(), PREFIX);
        assert!(link.contains(end(100_000_000).ip().into()));
        assert!(![end(0).ip(), IpAddr::V4(LINK)].contains(&end(A_ADDRESS).ip()));
    }
}

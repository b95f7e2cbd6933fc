//! The far end of idle connections: a stack with many addresses behind a TUN of its own. The kernel forwards between it and
//! the server, and has a socket for none of them.
//!
//! Standard input says `open N`, `further N` or `close N`; the answer is `opened` or `closed` and the seconds that it took.
//! The last that were opened are closed first, by this end, which has TIME-WAIT after them then.

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

/// Opened or closed at a time: as many as the other columns have at the most.
const IN_FLIGHT: usize = 64;
/// A server that does nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(5);

/// The link: the kernel's end and, unused but there, the stack's.
const LINK: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);
const PREFIX: u8 = 12;
/// The first of the addresses.
const FIRST: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 1);
/// Of those that stand idle.
const IDLE_PORTS: Ports = Ports { first: 10_000, count: 40_000 };
/// Of further ones: what a port of theirs costs is not to depend on how many addresses have it.
const FURTHER_PORTS: Ports = Ports { first: 50_000, count: 15_000 };
const FURTHER_ADDRESSES: usize = 27;
/// How many further ones there can be, all together.
pub(in super::super) const MOST_FURTHER: usize = FURTHER_ADDRESSES * FURTHER_PORTS.count;

/// Serves whoever measures until standard input ends. No more than `most` connections are opened, without
/// the further ones.
pub(in super::super::super) fn main(common: &Common, most: usize) -> Result<(), Failure> {
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
            ("open", Ok(count)) => far.open(count, false),
            ("further", Ok(count)) => far.open(count, true),
            ("close", Ok(count)) => far.close(count),
            _ => {
                return Err(Failure::Failed(format!(
                    "told {line:?} instead of \"open N\", \"further N\" or \"close N\""
                )));
            }
        };
        match done {
            Ok(time) if what == "close" => say(format_args!("closed {}", time.as_secs_f64()))?,
            Ok(time) => say(format_args!("opened {}", time.as_secs_f64()))?,
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

/// Ports that each address has for connections.
struct Ports {
    first: u16,
    count: usize,
}

impl Ports {
    /// The end of connection number `n`: no two are the same.
    fn end(&self, n: usize) -> SocketAddr {
        let address = u32::from(FIRST) + (n / self.count) as u32;
        SocketAddr::from((Ipv4Addr::from(address), self.first + (n % self.count) as u16))
    }
}

struct Far {
    engine: Engine,
    poll: Poll,
    events: Events,
    /// Those that stand.
    streams: Vec<TcpStream>,
    /// How many there have been, and how many further ones.
    opened: [usize; 2],
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
            uring: !common.no_uring,
            ..lanes::tun(common.mtu)
        };
        let count = (most / IDLE_PORTS.count + 1).max(FURTHER_ADDRESSES);
        let every = (0..count).map(|n| IDLE_PORTS.end(n * IDLE_PORTS.count).ip());
        let all = every.map(|ip| Prefix::new(ip.into(), PREFIX));
        let config = Config { addresses: all.collect(), ..Config::default() };
        let queues = bring_up_queues(&tun).map_err(device_failure)?;
        let engine = Engine::builder().config(config).queues(queues).start();
        let cannot = |e| Failure::of("cannot start the far stack", &e);
        Ok(Self {
            engine: engine.map_err(cannot)?,
            poll: Poll::new().map_err(cannot)?,
            events: Events::with_capacity(IN_FLIGHT),
            streams: Vec::new(),
            opened: [0; 2],
            server: SocketAddr::new(server, CROWD),
        })
    }

    fn open(&mut self, count: usize, further: bool) -> io::Result<Duration> {
        let begin = |far: &mut Self| far.begin_to_open(further);
        self.each(count, Interest::WRITABLE, begin, |far, stream| {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            stream.peer_addr()?;
            far.streams.push(stream);
            Ok(None)
        })
    }

    fn begin_to_open(&mut self, further: bool) -> io::Result<TcpStream> {
        let ports = if further { FURTHER_PORTS } else { IDLE_PORTS };
        let socket = TcpSocket::new_v4(&self.engine)?;
        let number = &mut self.opened[usize::from(further)];
        socket.bind(ports.end(*number))?;
        *number += 1;
        socket.start_connect(self.server)
    }

    fn close(&mut self, count: usize) -> io::Result<Duration> {
        self.each(count, Interest::READABLE, Self::begin_to_close, |_, mut stream| {
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
    use super::*;

    #[test]
    fn no_two_connections_have_the_same_end() {
        let ends = |ports: Ports| [0, ports.count - 1, ports.count].map(|n| ports.end(n).to_string());
        assert_eq!(ends(IDLE_PORTS), ["172.16.1.1:10000", "172.16.1.1:49999", "172.16.1.2:10000"]);
        assert_eq!(ends(FURTHER_PORTS), ["172.16.1.1:50000", "172.16.1.1:64999", "172.16.1.2:50000"]);
        // The most that can be asked for stay on the link.
        let link = Prefix::new(LINK.into(), PREFIX);
        assert!(link.contains(IDLE_PORTS.end(100_000_000).ip().into()));
    }
}

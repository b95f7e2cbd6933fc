//! This stack's sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tunstack::engine::Engine;
use tunstack::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tunstack::poll::{Events, Interest, Poll as OurPoll, Token};

use super::sockets::{Change, EVENTS, Sockets};

/// On one engine.
pub(super) struct Ours {
    engine: Engine,
}

impl Ours {
    pub(super) const fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

pub(super) struct Poll {
    poll: OurPoll,
    events: Events,
}

impl Sockets for Ours {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Udp = UdpSocket;
    type Poll = Poll;

    fn listen(&self, port: u16) -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v4(&self.engine)?;
        // As listeners that are made in one go have it.
        socket.set_reuseaddr(true)?;
        socket.set_nodelay(true)?;
        socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
        let listener = socket.listen(super::BACKLOG.cast_unsigned())?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        self.engine.bind_udp((Ipv4Addr::UNSPECIFIED, port))
    }

    fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    fn receive(udp: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        udp.recv_from(buffer)
    }

    fn send(udp: &UdpSocket, data: &[u8], to: SocketAddr) -> io::Result<usize> {
        udp.send_to(data, to)
    }

    fn poll() -> io::Result<Poll> {
        Ok(Poll { poll: OurPoll::new()?, events: Events::with_capacity(EVENTS) })
    }

    fn watch_listener(poll: &Poll, listener: &mut TcpListener, token: usize) -> io::Result<()> {
        poll.poll.registry().register(listener, Token(token), Interest::READABLE)
    }

    fn watch(poll: &Poll, stream: &mut TcpStream, token: usize, what: Interest) -> io::Result<()> {
        poll.poll.registry().register(stream, Token(token), what)
    }

    fn wait(poll: &mut Poll, changes: &mut Vec<Change>, timeout: Option<Duration>) -> io::Result<()> {
        poll.poll.poll(&mut poll.events, timeout)?;
        changes.extend(poll.events.iter().map(|event| {
            let last = event.is_read_closed() || event.is_error();
            Change { token: event.token().0, comes: event.is_readable() || last, last }
        }));
        Ok(())
    }
}

//! The kernel's sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::{SocketFlags, accept_with};
use tunstack::poll::Interest;

use super::super::lanes::set_congestion_control;
use super::sockets::{Change, EVENTS, Sockets};

/// At one address.
pub(super) struct Kernel {
    address: Ipv4Addr,
}

impl Kernel {
    pub(super) const fn new(address: Ipv4Addr) -> Self {
        Self { address }
    }
}

pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    fn add(&self, source: impl std::os::fd::AsFd, token: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, source, data, flags | epoll::EventFlags::ET)?)
    }
}

impl Sockets for Kernel {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Udp = UdpSocket;
    type Poll = Poll;

    fn listen(&self, port: u16) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((self.address, port))?;
        // std's are 128, beyond which a SYN is lost for a second.
        rustix::net::listen(&listener, super::BACKLOG)?;
        // Its connections have it too.
        set_congestion_control(&listener)?;
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        UdpSocket::bind((self.address, port))
    }

    fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(TcpStream::from(accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?))
    }

    fn receive(udp: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        udp.recv_from(buffer)
    }

    fn send(udp: &UdpSocket, data: &[u8], to: SocketAddr) -> io::Result<usize> {
        udp.send_to(data, to)
    }

    fn poll() -> io::Result<Poll> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poll { epoll, events: Vec::with_capacity(EVENTS) })
    }

    fn watch_listener(poll: &Poll, listener: &mut TcpListener, token: usize) -> io::Result<()> {
        poll.add(listener, token, epoll::EventFlags::IN)
    }

    fn watch(poll: &Poll, stream: &mut TcpStream, token: usize, what: Interest) -> io::Result<()> {
        let mut flags = epoll::EventFlags::RDHUP;
        flags.set(epoll::EventFlags::IN, what.is_readable());
        flags.set(epoll::EventFlags::OUT, what.is_writable());
        poll.add(stream, token, flags)
    }

    fn wait(poll: &mut Poll, changes: &mut Vec<Change>, timeout: Option<Duration>) -> io::Result<()> {
        const LAST: epoll::EventFlags =
            epoll::EventFlags::RDHUP.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
        poll.events.clear();
        epoll::wait(&poll.epoll, spare_capacity(&mut poll.events), timeout.as_ref())?;
        changes.extend(poll.events.iter().map(|event| Change {
            token: event.data.u64() as usize,
            comes: { event.flags }.intersects(LAST.union(epoll::EventFlags::IN)),
            last: { event.flags }.intersects(LAST),
        }));
        Ok(())
    }
}

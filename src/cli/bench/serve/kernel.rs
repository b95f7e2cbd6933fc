//! The kernel's sockets.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use super::super::lanes::set_congestion_control;
use super::sockets::{EVENTS, Sockets};

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
        Ok(listener)
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        UdpSocket::bind((self.address, port))
    }

    fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer)
    }

    fn write_all(mut stream: &TcpStream, data: &[u8]) -> io::Result<()> {
        stream.write_all(data)
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
        listener.set_nonblocking(true)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        Ok(epoll::add(&poll.epoll, listener, epoll::EventData::new_u64(token as u64), flags)?)
    }

    fn watch(poll: &Poll, stream: &mut TcpStream, token: usize) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&poll.epoll, stream, epoll::EventData::new_u64(token as u64), flags)?)
    }

    fn wait(poll: &mut Poll, tokens: &mut Vec<usize>) -> io::Result<()> {
        poll.events.clear();
        epoll::wait(&poll.epoll, spare_capacity(&mut poll.events), None)?;
        tokens.extend(poll.events.iter().map(|event| event.data.u64() as usize));
        Ok(())
    }
}

//! Our sockets: the stack talks to itself, and behind its device is nobody.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use tunstack::bsd::abi::MsgFlags;
use tunstack::bsd::{Ancillary, MessageIn, MessageOut, Sockets};
use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::device::pipe::Pipe;
use tunstack::engine::Engine;

use super::sys::{Fd, Joined, Received, Res, Sys};

/// An engine with the addresses that the kernel has in the namespace.
#[derive(Debug)]
pub(crate) struct Ours {
    sockets: Sockets,
    /// The other end of the device, which is never read.
    _silence: Pipe,
}

impl Ours {
    pub(crate) fn start() -> Self {
        let (device, silence) = Pipe::pair(1500).unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap().into();
        let config = Config {
            addresses: vec![Prefix::new(ip("10.7.0.1"), 24), Prefix::new(ip("fd07::1"), 64)],
            // The loopback's are not limited in Linux.
            icmp_errors_per_second: 1_000_000,
            ..Config::default()
        };
        let engine = Engine::builder().device(device).config(config).start().unwrap();
        Self { sockets: Sockets::new(&engine), _silence: silence }
    }
}

fn to_write<'a>(parts: &[&'a [u8]]) -> Vec<IoSlice<'a>> {
    parts.iter().map(|part| IoSlice::new(part)).collect()
}

fn to_read<'a>(parts: &'a mut [&mut [u8]]) -> Vec<IoSliceMut<'a>> {
    parts.iter_mut().map(|part| IoSliceMut::new(part)).collect()
}

fn flags(flags: i32) -> MsgFlags {
    MsgFlags::from_bits_retain(flags)
}

impl Sys for Ours {
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Res<Fd> {
        self.sockets.socket(domain, kind, protocol)
    }

    fn bind(&self, fd: Fd, addr: &SocketAddr) -> Res<()> {
        self.sockets.bind(fd, addr)
    }

    fn listen(&self, fd: Fd, backlog: i32) -> Res<()> {
        self.sockets.listen(fd, backlog)
    }

    fn accept4(&self, fd: Fd, flags: i32) -> Res<(Fd, SocketAddr)> {
        self.sockets.accept4(fd, flags)
    }

    fn connect(&self, fd: Fd, addr: &SocketAddr) -> Res<()> {
        self.sockets.connect(fd, addr)
    }

    fn disconnect(&self, fd: Fd) -> Res<()> {
        self.sockets.disconnect(fd)
    }

    fn getsockname(&self, fd: Fd) -> Res<SocketAddr> {
        self.sockets.getsockname(fd)
    }

    fn getpeername(&self, fd: Fd) -> Res<SocketAddr> {
        self.sockets.getpeername(fd)
    }

    fn send(&self, fd: Fd, data: &[u8], bits: i32) -> Res<usize> {
        self.sockets.send(fd, data, flags(bits))
    }

    fn recv(&self, fd: Fd, buf: &mut [u8], bits: i32) -> Res<usize> {
        self.sockets.recv(fd, buf, flags(bits))
    }

    fn sendto(&self, fd: Fd, data: &[u8], bits: i32, to: &SocketAddr) -> Res<usize> {
        self.sockets.sendto(fd, data, flags(bits), Some(to))
    }

    fn recvfrom(&self, fd: Fd, buf: &mut [u8], bits: i32) -> Res<(usize, Option<SocketAddr>)> {
        self.sockets.recvfrom(fd, buf, flags(bits))
    }

    fn sendmsg(&self, fd: Fd, parts: &[&[u8]], bits: i32, to: Option<&SocketAddr>) -> Res<usize> {
        self.sockets.sendmsg(fd, to, &to_write(parts), flags(bits))
    }

    fn recvmsg(&self, fd: Fd, parts: &mut [&mut [u8]], bits: i32) -> Res<Received> {
        let got = self.sockets.recvmsg(fd, &mut to_read(parts), flags(bits))?;
        Ok(Received { n: got.len, from: got.name, flags: got.flags.bits() })
    }

    fn send_cut(&self, fd: Fd, data: &[u8], size: u16) -> Res<usize> {
        let data = [IoSlice::new(data)];
        let message = MessageOut { segment_size: Some(size), ..MessageOut::new(&data) };
        self.sockets.sendmsg_with(fd, &message, MsgFlags::empty())
    }

    fn receive_sized(&self, fd: Fd, buf: &mut [u8], bits: i32) -> Res<Joined> {
        let got = self.sockets.recvmsg(fd, &mut [IoSliceMut::new(buf)], flags(bits))?;
        let segment_size = got.control.map(|control| match control {
            Ancillary::SegmentSize(size) => size,
            other => panic!("{other:?} of a datagram"),
        });
        Ok(Joined { n: got.len, flags: got.flags.bits(), segment_size })
    }

    fn sendmmsg(&self, fd: Fd, texts: &[&[u8]], bits: i32) -> Res<Vec<usize>> {
        let data: Vec<_> = texts.iter().map(|text| [IoSlice::new(text)]).collect();
        let mut messages: Vec<_> = data.iter().map(|data| MessageOut::new(data)).collect();
        let sent = self.sockets.sendmmsg(fd, &mut messages, flags(bits))?;
        Ok(messages[..sent].iter().map(|message| message.sent).collect())
    }

    fn recvmmsg(&self, fd: Fd, rooms: &mut [[u8; 2]], bits: i32) -> Res<Vec<(usize, i32)>> {
        let mut data: Vec<_> = rooms.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
        let mut messages: Vec<_> = data.iter_mut().map(|data| MessageIn::new(data)).collect();
        let came = self.sockets.recvmmsg(fd, &mut messages, flags(bits), None)?;
        let told = |message: &MessageIn<'_, '_>| (message.received.len, message.received.flags.bits());
        Ok(messages[..came].iter().map(told).collect())
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Res<usize> {
        self.sockets.read(fd, buf)
    }

    fn write(&self, fd: Fd, data: &[u8]) -> Res<usize> {
        self.sockets.write(fd, data)
    }

    fn readv(&self, fd: Fd, parts: &mut [&mut [u8]]) -> Res<usize> {
        self.sockets.readv(fd, &mut to_read(parts))
    }

    fn writev(&self, fd: Fd, parts: &[&[u8]]) -> Res<usize> {
        self.sockets.writev(fd, &to_write(parts))
    }

    fn shutdown(&self, fd: Fd, how: i32) -> Res<()> {
        self.sockets.shutdown(fd, how)
    }

    fn close(&self, fd: Fd) -> Res<()> {
        self.sockets.close(fd)
    }

    fn dup(&self, fd: Fd) -> Res<Fd> {
        self.sockets.dup(fd)
    }

    fn fcntl(&self, fd: Fd, command: i32, argument: i32) -> Res<i32> {
        self.sockets.fcntl(fd, command, argument)
    }

    fn ioctl(&self, fd: Fd, request: u64) -> Res<i32> {
        let mut value = 0;
        self.sockets.ioctl(fd, request as _, &mut value)?;
        Ok(value)
    }

    fn setsockopt(&self, fd: Fd, level: i32, name: i32, value: &[u8]) -> Res<()> {
        self.sockets.setsockopt(fd, level, name, value)
    }

    fn getsockopt(&self, fd: Fd, level: i32, name: i32, value: &mut [u8]) -> Res<usize> {
        self.sockets.getsockopt(fd, level, name, value)
    }

    /// The kernel's: our descriptors are real ones.
    fn poll(&self, fd: Fd, events: i16, timeout_ms: i32) -> Res<i16> {
        super::kernel::Kernel.poll(fd, events, timeout_ms)
    }
}

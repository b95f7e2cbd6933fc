//! A ping socket: ICMP echo without raw sockets.

use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use tunstack_core::addr::{Address, Endpoint, Family};
use tunstack_core::stack::socket::ReceivedDatagram;

use crate::engine::socket::Socket;
use crate::engine::{Engine, Interest};

/// Octets before an echo message's data (RFC 792, RFC 4443 §4.1): type, code, checksum, identifier,
/// sequence number.
const HEADER: usize = 8;

/// Sends ICMP echo requests and receives the replies to them. The stack gives the socket an identifier of
/// its own, so several can ping at once.
#[derive(Debug)]
pub struct Ping {
    pub(crate) socket: Socket,
    family: Family,
}

/// A reply to one of our echo requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EchoReply {
    /// Who replied.
    pub from: IpAddr,
    /// The request's sequence number.
    pub sequence: u16,
    /// Octets of data written to the front of the buffer.
    pub len: usize,
}

impl Ping {
    /// A ping socket for IPv4.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn new_v4(engine: &Engine) -> io::Result<Self> {
        Self::new(engine, Family::V4)
    }

    /// A ping socket for IPv6.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn new_v6(engine: &Engine) -> io::Result<Self> {
        Self::new(engine, Family::V6)
    }

    /// A ping socket for the family of `addr`.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn new_for(engine: &Engine, addr: IpAddr) -> io::Result<Self> {
        Self::new(engine, Address::from(addr).family())
    }

    fn new(engine: &Engine, family: Family) -> io::Result<Self> {
        Ok(Self { socket: Socket::open(engine, |stack| stack.ping_socket(family))?, family })
    }

    /// Sends an echo request with this sequence number and data.
    ///
    /// # Errors
    /// `NetworkUnreachable` without a route, `EMSGSIZE` when it is too long, an error that an ICMP message
    /// told of.
    pub fn send(&self, to: IpAddr, sequence: u16, data: &[u8]) -> io::Result<()> {
        let message = self.request(sequence, data);
        let to = Endpoint::new(to.into(), 0);
        self.socket
            .wait(Interest::Writable, |stack, id, now| stack.try_send_to(id, &message, Some(to), now))
            .map(drop)
    }

    /// Waits for a reply and writes its data to `buf`; what does not fit is lost.
    ///
    /// # Errors
    /// `WouldBlock` when the timeout is over; an error that an ICMP message told of, such as
    /// `HostUnreachable`.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<EchoReply> {
        let mut message = vec![0; HEADER + buf.len()];
        let received = self
            .socket
            .wait(Interest::Readable, |stack, id, _| stack.try_receive_from(id, &mut message, false))?;
        reply(&received, &message, buf)
    }

    /// A [`send`](Self::send) by a task.
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        to: IpAddr,
        sequence: u16,
        data: &[u8],
    ) -> Poll<io::Result<()>> {
        let message = self.request(sequence, data);
        let to = Endpoint::new(to.into(), 0);
        let sent = self
            .socket
            .poll(Interest::Writable, cx, |stack, id, now| stack.try_send_to(id, &message, Some(to), now));
        sent.map_ok(drop)
    }

    /// A [`recv`](Self::recv) by a task.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<EchoReply>> {
        let mut message = vec![0; HEADER + buf.len()];
        let received = self
            .socket
            .poll(Interest::Readable, cx, |stack, id, _| stack.try_receive_from(id, &mut message, false));
        received.map(|received| reply(&received?, &message, buf))
    }

    /// An echo request, but for the identifier and the checksum, which the stack writes.
    fn request(&self, sequence: u16, data: &[u8]) -> Vec<u8> {
        let kind = match self.family {
            Family::V4 => 8,
            Family::V6 => 128,
        };
        let [high, low] = sequence.to_be_bytes();
        let mut message = vec![kind, 0, 0, 0, 0, 0, high, low];
        message.extend_from_slice(data);
        message
    }

    /// How long a receive waits at the most; `None`: without limit.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    /// Whether calls give `WouldBlock` instead of waiting.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.socket.set_nonblocking(nonblocking);
    }

    /// Time to live, or hop limit, of the requests, 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput` when out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// The error that waits for the next call, which is then forgotten (`SO_ERROR`).
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }
}

/// Reads a reply's header and hands on its data.
fn reply(received: &ReceivedDatagram, message: &[u8], buf: &mut [u8]) -> io::Result<EchoReply> {
    let message = &message[..received.copied];
    let (Some(&[high, low]), Some(data)) = (message.get(6..HEADER), message.get(HEADER..)) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an echo reply without a header"));
    };
    let len = data.len().min(buf.len());
    buf[..len].copy_from_slice(&data[..len]);
    Ok(EchoReply { from: received.from.address.ip(), sequence: u16::from_be_bytes([high, low]), len })
}

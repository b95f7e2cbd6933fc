//! What crosses the edge of the stack: packets in, packets out.

use core::fmt;

use bytes::Bytes;

pub use crate::body::{Body, Lent};
use crate::icmp::errors::ErrorKind;
use crate::tcp::trace::TcpEvent;
pub use crate::wire::checksum::{Checksum, Trust};

/// An arriving IP packet.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    /// The whole packet, from the first octet of the IP header. May be longer than the IP length says.
    pub packet: &'a [u8],
    /// The rest of the packet, where it came by reference ([`Body::lend`]): `packet` is then its headers, all of them. What of
    /// the text is in order is kept so; where the packet must be seen as a whole it is put together.
    pub lent: &'a [Lent],
    /// The allocation that `packet` lies in, if it may be kept: text is then taken by reference where that
    /// wastes less than half of the allocation, and copied otherwise.
    pub backing: Option<&'a Bytes>,
    /// Whether the transport checksum needs checking.
    pub trust: Trust,
    /// Not 0: the device joined segments of this size into one (GRO or TSO).
    pub gso_size: u16,
}

impl<'a> Inbound<'a> {
    /// A packet as a plain device delivers it: to be checked, and gone after the call.
    pub const fn plain(packet: &'a [u8]) -> Self {
        Self { packet, lent: &[], backing: None, trust: Trust::Verify, gso_size: 0 }
    }
}

/// What became of an arriving packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Not a packet for us, malformed or refused; the counters say which.
    Dropped(&'static str),
    /// A fragment, kept or given up.
    Fragment,
    /// ICMP took it.
    Icmp(&'static str),
    /// UDP took it.
    Udp(&'static str),
    /// TCP took it. The event is there when tracing is on.
    Tcp(Option<TcpEvent>),
}

/// One line for a capture's comment or a log; empty where nothing is known.
impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped(why) => write!(f, "dropped: {why}"),
            Self::Fragment => f.write_str("fragment: kept until the rest has come"),
            Self::Icmp(what) => write!(f, "ICMP {what}"),
            Self::Udp(what) => write!(f, "UDP datagram: {what}"),
            Self::Tcp(Some(event)) => write!(f, "{event}"),
            Self::Tcp(None) => Ok(()),
        }
    }
}

/// Why a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A segment of TCP.
    Tcp(TcpEvent),
    /// A packet of another protocol, or a piece of one.
    Other(OtherEvent),
}

impl From<TcpEvent> for Sent {
    fn from(event: TcpEvent) -> Self {
        Self::Tcp(event)
    }
}

/// One line for a capture's comment or a log.
impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(event) => write!(f, "{event}"),
            Self::Other(event) => write!(f, "{event}"),
        }
    }
}

/// Why a packet that is not TCP's leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherEvent {
    /// What the whole packet is for.
    pub reason: OtherReason,
    /// Which fragment of it this is, from 1.
    pub fragment: u16,
    /// Fragments in all; 1: the packet is whole.
    pub fragments: u16,
}

/// What a packet that is not TCP's is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherReason {
    /// A program sent a UDP datagram.
    Datagram,
    /// A program asks for an echo.
    EchoRequest,
    /// The answer to an echo request.
    EchoReply,
    /// A packet could not be delivered or understood.
    Error(ErrorKind),
}

impl OtherReason {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Datagram => "UDP datagram of a program",
            Self::EchoRequest => "ICMP echo request of a program",
            Self::EchoReply => "ICMP reply to an echo request",
            Self::Error(ErrorKind::PortUnreachable) => "ICMP error: no socket at that port",
            Self::Error(ErrorKind::ProtocolUnreachable { .. }) => "ICMP error: protocol not spoken here",
            Self::Error(ErrorKind::ParameterProblem { .. }) => "ICMP error: header not understood",
            Self::Error(ErrorKind::ReassemblyTimeExceeded) => "ICMP error: fragments missing for too long",
        }
    }
}

impl fmt::Display for OtherEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.text())?;
        if self.fragments > 1 {
            write!(f, " | fragment {} of {}", self.fragment, self.fragments)?;
        }
        Ok(())
    }
}

/// A leaving IP packet. It borrows its text from the stack's buffers, so it must be sent or copied before
/// the stack is called again.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// IP header, transport header and options.
    pub head: &'a [u8],
    /// The text that follows, in pieces.
    pub body: Body<'a>,
    /// Not 0: to be cut into segments with this many octets of text each, as TSO does.
    pub gso_size: u16,
    /// How the transport checksum stands.
    pub checksum: Checksum,
    /// Why it was sent, when tracing is on.
    pub event: Option<&'a Sent>,
}

impl Datagram<'_> {
    /// Octets of the whole packet.
    pub const fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Never: a packet has at least its header.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the packet into the front of `out` in one piece and returns its length. The checksum stays as
    /// it is. `None` where `out` is too short.
    pub fn copy_to(&self, out: &mut [u8]) -> Option<usize> {
        let out = out.get_mut(..self.len())?;
        let (head, mut rest) = out.split_at_mut_checked(self.head.len())?;
        head.copy_from_slice(self.head);
        for piece in self.body.pieces() {
            let (now, later) = rest.split_at_mut_checked(piece.len())?;
            now.copy_from_slice(piece);
            rest = later;
        }
        Some(self.len())
    }
}

/// How many datagrams of this size a payload stands for; 0 for the size: it is one.
pub(super) const fn datagrams(payload: &[u8], segment_size: u16) -> usize {
    match (payload.len(), segment_size) {
        (0, _) | (_, 0) => 1,
        (len, size) => len.div_ceil(size as usize),
    }
}

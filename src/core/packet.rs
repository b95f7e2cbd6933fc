//! What crosses the edge of the stack: packets in, packets out.

use bytes::Bytes;

use crate::trace::TcpEvent;
pub use crate::wire::checksum::{Checksum, Trust};

/// An arriving IP packet.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    /// The whole packet, from the first octet of the IP header. May be longer than the IP length says.
    pub packet: &'a [u8],
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
        Self { packet, backing: None, trust: Trust::Verify, gso_size: 0 }
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
    /// Why it was sent: a TCP segment when tracing is on.
    pub event: Option<TcpEvent>,
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

/// Octets in up to [`Body::MAX_PIECES`] pieces, borrowed from where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    pieces: [&'a [u8]; Body::MAX_PIECES],
    len: usize,
}

impl<'a> Body<'a> {
    /// How many pieces a body has at the most: what fits in one vectored write beside the headers without
    /// costing more than it saves.
    pub const MAX_PIECES: usize = 4;

    /// No octets.
    pub const EMPTY: Self = Self { pieces: [&[]; Body::MAX_PIECES], len: 0 };

    /// One piece.
    pub const fn from_slice(piece: &'a [u8]) -> Self {
        Self { pieces: [piece, &[], &[], &[]], len: piece.len() }
    }

    /// Adds a piece, if there is room for one more; says whether there was.
    pub fn push(&mut self, piece: &'a [u8]) -> bool {
        if piece.is_empty() {
            return true;
        }
        let Some(free) = self.pieces.iter_mut().find(|p| p.is_empty()) else { return false };
        *free = piece;
        self.len += piece.len();
        true
    }

    /// How many octets.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order, none of them empty.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pieces.into_iter().take_while(|p| !p.is_empty())
    }
}

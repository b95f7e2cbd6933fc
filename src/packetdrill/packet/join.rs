//! Segments that a script expects in one piece and the stack sends in several.
//!
//! Scripts were written for stacks that hand large segments to the device. So the original joins consecutive
//! segments until the expected length is reached, and so does this; `--strict_segments` forbids it.

use super::{Carried, Mismatch, Seen, SeenTcp};
use crate::packetdrill::flow::{CWR, FIN, PSH};
use crate::packetdrill::script::{Packet, Payload};

/// What a device makes of a segment that is to be cut ([`Seen::gso_size`]): FIN and PSH are in the last piece,
/// CWR is in the first (RFC 3168 §6.1.2). Anything else stays as it is.
pub fn split(seen: Seen) -> Vec<Seen> {
    let size = usize::from(seen.gso_size);
    let whole = match &seen.carried {
        Carried::Tcp(tcp) if size != 0 && tcp.len > size => tcp.clone(),
        _ => return vec![Seen { gso_size: 0, ..seen }],
    };
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < whole.len {
        let len = size.min(whole.len - at);
        let mut flags = whole.flags;
        if at != 0 {
            flags &= !CWR;
        }
        if at + len != whole.len {
            flags &= !(FIN | PSH);
        }
        // Only the first octet that is not zero is known, so what is behind it is taken for the same.
        let nonzero = whole.nonzero.filter(|&n| n < at + len).map(|n| n.saturating_sub(at));
        let seq = whole.seq.wrapping_add(at as u32);
        let piece = SeenTcp { seq, flags, len, nonzero, ..whole.clone() };
        pieces.push(Seen { carried: Carried::Tcp(piece), gso_size: 0, ..seen.clone() });
        at += len;
    }
    pieces
}

/// What became of a segment that was handed to [`Join::push`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Joined {
    /// The expected length is not reached: the next segment is needed.
    More,
    /// The packet to compare.
    Whole(Box<Seen>),
}

/// Joins the segments of one expected packet.
#[derive(Clone, Debug)]
pub struct Join {
    expected: usize,
    strict: bool,
    whole: Option<Seen>,
    /// Octets of data in the segment before.
    last: usize,
}

impl Join {
    /// For a packet that the script expects.
    pub fn new(expected: &Packet, strict: bool) -> Self {
        let expected = match &expected.payload {
            Payload::Tcp(tcp) => usize::from(tcp.len),
            Payload::Udp(_) | Payload::Icmp(_) => 0,
        };
        Self { expected, strict, whole: None, last: 0 }
    }

    /// What has come so far.
    pub fn so_far(&self) -> Option<&Seen> {
        self.whole.as_ref()
    }

    /// Takes the next packet of the connection.
    ///
    /// # Errors
    ///
    /// In what it does not continue the segment before: headers must be alike up to FIN, PSH and CWR, and all
    /// segments but the last must be equally long. The options must be equally long and may differ.
    pub fn push(&mut self, seen: Seen) -> Result<Joined, Vec<Mismatch>> {
        let Some(before) = self.whole.take() else {
            return Ok(self.keep(seen));
        };
        let missing = self.expected.saturating_sub(before.data_len());
        let mut mismatches = Vec::new();
        let mut same = |field, expected: String, actual: String| {
            if expected != actual {
                mismatches.push(Mismatch { field, expected, actual });
            }
        };
        same("TTL of a segment to join", before.ip.ttl.to_string(), seen.ip.ttl.to_string());
        let joined = match (&before.carried, &seen.carried) {
            (Carried::Tcp(first), Carried::Tcp(next)) => {
                let ends = |tcp: &SeenTcp| format!("{} > {}", tcp.src_port, tcp.dst_port);
                same("ports of a segment to join", ends(first), ends(next));
                let flags = |tcp: &SeenTcp| format!("{:#x}", tcp.flags & !(FIN | PSH | CWR));
                same("flags of a segment to join", flags(first), flags(next));
                let due = first.seq.wrapping_add(first.len as u32);
                same(
                    "sequence number of a segment to join (absolute)",
                    due.to_string(),
                    next.seq.to_string(),
                );
                let ack = |tcp: &SeenTcp| tcp.ack.to_string();
                same("acknowledgment number of a segment to join (absolute)", ack(first), ack(next));
                same("window of a segment to join", first.window.to_string(), next.window.to_string());
                same(
                    "urgent pointer of a segment to join",
                    first.urgent.to_string(),
                    next.urgent.to_string(),
                );
                let options = |tcp: &SeenTcp| format!("{} octets", tcp.options.len());
                same("options of a segment to join", options(first), options(next));
                if next.len < missing {
                    same("length of a segment to join", self.last.to_string(), next.len.to_string());
                }
                // As the original: the last header stands for all, but for where the data starts and CWR.
                SeenTcp {
                    seq: first.seq,
                    flags: next.flags & !CWR | first.flags & CWR,
                    len: first.len + next.len,
                    nonzero: first.nonzero.or(next.nonzero.map(|n| n + first.len)),
                    ..next.clone()
                }
            }
            _ => {
                let mismatch = Mismatch {
                    field: "packet to join",
                    expected: format!("a segment with the other {missing} octets"),
                    actual: "another protocol".into(),
                };
                self.whole = Some(before);
                return Err(vec![mismatch]);
            }
        };
        if !mismatches.is_empty() {
            self.whole = Some(before);
            return Err(mismatches);
        }
        let len = seen.data_len();
        let joined = self.keep(Seen { carried: Carried::Tcp(joined), ..seen });
        self.last = len;
        Ok(joined)
    }

    fn keep(&mut self, seen: Seen) -> Joined {
        let len = seen.data_len();
        self.last = len;
        let joinable = matches!(seen.carried, Carried::Tcp(_)) && !self.strict;
        if joinable && len < self.expected {
            self.whole = Some(seen);
            Joined::More
        } else {
            Joined::Whole(Box::new(seen))
        }
    }
}

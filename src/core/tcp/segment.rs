//! What arrived: a segment in host order, with the RFC's names for what can be read off it.

use bytes::Bytes;

use super::seq::{Seq, SeqRange};
use crate::body::{Lent, Text};
use crate::wire::flags::Flags;
use crate::wire::ip::Ecn;
use crate::wire::options::{Options, Timestamps};
use crate::wire::tcp::Packet;

/// An arriving segment. The steps of §3.10.7.4 cut it to the window as they go.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// SEG.SEQ.
    pub seq: Seq,
    /// SEG.ACK; counts only with [`Flags::ACK`].
    pub ack: Seq,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND as it stands in the header, unscaled.
    pub window: u16,
    /// SEG.UP; counts only with [`Flags::URG`].
    pub urgent: u16,
    /// The options.
    pub options: &'a Options,
    /// The text.
    pub text: Text<'a>,
    /// The allocation the text lies in, as far as it did not come by reference, if that may be kept.
    pub backing: Option<&'a Bytes>,
    /// Not 0: the device joined segments with this much text into it.
    pub joined: u16,
    /// The ECN field of the packet it came in.
    pub ecn: Ecn,
}

impl<'a> Segment<'a> {
    /// From a parsed packet, the rest of whose text is `lent`.
    pub fn new(packet: &'a Packet<'a>, ecn: Ecn, backing: Option<&'a Bytes>, lent: &'a [Lent]) -> Self {
        let header = &packet.header;
        Self {
            seq: header.seq,
            ack: header.ack,
            flags: header.flags,
            window: header.window,
            urgent: header.urgent,
            options: &packet.options,
            text: Text::new(packet.payload, lent),
            backing,
            joined: 0,
            ecn,
        }
    }

    /// SEG.LEN: octets of text, and one each for SYN and FIN.
    pub fn len(&self) -> u32 {
        self.text.len() as u32 + u32::from(self.syn()) + u32::from(self.fin())
    }

    /// How many segments it stands for.
    pub fn segments(&self) -> u32 {
        match self.joined {
            0 => 1,
            size => self.text.len().div_ceil(size.into()).max(1) as u32,
        }
    }

    /// Whether it takes up no sequence space.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence number after the last it takes up.
    pub fn end(&self) -> Seq {
        self.seq.add(self.len())
    }

    /// The sequence numbers of its text.
    pub fn text_range(&self) -> SeqRange {
        SeqRange::with_len(self.seq.add(u32::from(self.syn())), self.text.len() as u32)
    }

    /// SYN is set.
    pub const fn syn(&self) -> bool {
        self.flags.contains(Flags::SYN)
    }

    /// FIN is set.
    pub const fn fin(&self) -> bool {
        self.flags.contains(Flags::FIN)
    }

    /// RST is set.
    pub const fn rst(&self) -> bool {
        self.flags.contains(Flags::RST)
    }

    /// ACK is set.
    pub const fn has_ack(&self) -> bool {
        self.flags.contains(Flags::ACK)
    }

    /// Its timestamps, if it has any.
    pub const fn timestamps(&self) -> Option<Timestamps> {
        self.options.timestamps
    }

    /// Takes away the SYN, as if it had come alone before.
    pub fn strip_syn(&mut self) {
        if self.syn() {
            self.flags.remove(Flags::SYN);
            self.seq = self.seq.add(1);
            self.urgent = self.urgent.saturating_sub(1);
        }
    }

    /// Cuts off what lies before `left` and at or after `right`: SYN, text and FIN alike (§3.10.7.4, first).
    pub fn trim(&mut self, left: Seq, right: Seq) {
        if self.seq.before(left) {
            self.strip_syn();
            let cut = left.saturating_since(self.seq).min(self.text.len().min(0xffff) as u32);
            self.text = self.text.from(cut as usize);
            self.seq = self.seq.add(cut);
            if cut > 0 && u32::from(self.urgent) <= cut {
                // The urgent octet has been cut off, and a pointer of zero would name another.
                self.flags.remove(Flags::URG);
            }
            self.urgent = self.urgent.saturating_sub(cut as u16);
            if self.seq.before(left) {
                // A FIN alone before the window.
                self.flags.remove(Flags::FIN);
            }
        }
        if self.end().after(right) {
            self.flags.remove(Flags::FIN);
            if self.seq.at_or_after(right) {
                self.flags.remove(Flags::SYN);
            }
            let keep = right.saturating_since(self.text_range().start) as usize;
            self.text = self.text.to(keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment<'a>(seq: u32, flags: Flags, text: &'a [u8], options: &'a Options) -> Segment<'a> {
        Segment {
            seq: Seq::new(seq),
            ack: Seq::new(0),
            flags,
            window: 0,
            urgent: 0,
            options,
            text: text.into(),
            backing: None,
            joined: 0,
            ecn: Ecn::NotEct,
        }
    }

    proptest! {
        /// Each number of the segment is a thing (SYN, octet, FIN); trimming keeps just those in the window.
        #[test]
        fn trimming_keeps_what_lies_in_the_window(
            base: u32, syn: bool, fin: bool, len in 0..20usize, left in 0..30u32, wnd in 0..30u32,
        ) {
            let text: [u8; 20] = core::array::from_fn(|i| i as u8);
            let options = Options::default();
            let mut flags = Flags::ACK;
            flags.set(Flags::SYN, syn);
            flags.set(Flags::FIN, fin);
            let whole = segment(base, flags, &text[..len], &options);
            let (l, r) = (Seq::new(base).add(left), Seq::new(base).add(left + wnd));
            let mut cut = whole;
            cut.trim(l, r);
            let window = SeqRange::new(l, r);
            let at = |s: &Segment<'_>, n: Seq| -> Option<u16> {
                let t = s.text_range();
                if s.syn() && n == s.seq { Some(1000) }
                else if t.contains(n) { s.text.get(n.since(t.start) as usize).map(u16::from) }
                else if s.fin() && n == t.end { Some(2000) }
                else { None }
            };
            for i in 0..40 {
                let n = Seq::new(base).add(i);
                let want = if window.contains(n) { at(&whole, n) } else { None };
                prop_assert_eq!(at(&cut, n), want, "number {}", i);
            }
        }
    }
}

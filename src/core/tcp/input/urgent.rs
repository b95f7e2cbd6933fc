//! Sixth, check the URG bit: where the urgent octet lies, and what it is.
//!
//! The mark is the last octet of the urgent data, as the pointer has it (MUST-62, RFC 6093 §3.1). Read in line, the
//! mark is all there is to it; out of line that octet is not part of the stream, and what urgent octet was
//! announced before becomes ordinary data again, as in every system that does so.

use crate::seq::Seq;
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::tcb::{Is, Tcb};
use crate::wire::flags::Flags;

impl Tcb {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
    //= id=MUST-30
    //# TCP implementations MUST still include support for the urgent mechanism (MUST-30).
    pub(super) fn sixth_check_urg(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-26
        //# This should not occur since a FIN has been received from the remote side. Ignore the URG.
        if !self.state().may_receive() {
            return;
        }
        if seg.flags.contains(Flags::URG) {
            self.announce_urgent(seg.seq.add(u32::from(seg.urgent.saturating_sub(1))), cx);
        }
        if self.is.contains(Is::URGENT) && !self.is.intersects(Is::URGENT_HERE | Is::URGENT_TAKEN) {
            let offset = self.urgent_mark().since(seg.seq) as usize;
            if let Some(octet) = seg.text.get(offset) {
                self.urgent_octet = octet;
                self.is.insert(Is::URGENT_HERE);
            }
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= id=STEP-3.10.7.4-25
    //# If the URG bit is set, RCV.UP <- max(RCV.UP,SEG.UP)
    fn announce_urgent(&mut self, mark: Seq, cx: &mut Context<'_>) {
        let old = self.is.contains(Is::URGENT) && !mark.after(self.urgent_mark());
        if mark.before(self.rcv.nxt) || old {
            return;
        }
        if self.at_urgent_mark() && !self.options.oob_inline {
            // The reader stands before the octet that was urgent until now: it has been passed by, or it would come
            // back as data.
            self.receive_buffer.discard(1, cx.spares);
        }
        self.rcv.up = mark.add(1);
        self.is.remove(Is::URGENT_HERE | Is::URGENT_TAKEN);
        self.is.insert(Is::URGENT);
    }

    /// The sequence number of the urgent octet, where there is one.
    pub fn urgent_mark(&self) -> Seq {
        self.rcv.up.sub(1)
    }

    /// The sequence number of the octet that the program reads next.
    pub fn read_position(&self) -> Seq {
        let fin = u32::from(self.is.contains(Is::PEER_CLOSED));
        self.rcv.nxt.sub(fin).sub(self.receive_buffer.len() as u32)
    }

    /// Whether the next octet to read is the urgent one, here or still to come (`SIOCATMARK`).
    pub fn at_urgent_mark(&self) -> bool {
        self.is.contains(Is::URGENT) && self.read_position() == self.urgent_mark()
    }

    /// How many octets lie before the urgent one, where there is one.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
    //= id=MUST-33
    //# (MUST-33) provide a way for the application to learn how much urgent data remains to be read from
    //# the connection
    pub fn before_urgent_mark(&self) -> Option<usize> {
        let ahead = self.urgent_mark().saturating_since(self.read_position());
        self.is.contains(Is::URGENT).then_some(ahead as usize)
    }

    /// Where a read begins, in octets behind the reading position, and how far it may go: it ends before the urgent
    /// octet, and begins behind it where that is not part of the stream.
    pub fn readable_run(&self) -> (usize, usize) {
        let unread = self.receive_buffer.len();
        let Some(ahead) = self.before_urgent_mark() else { return (0, unread) };
        match ahead {
            0 if self.options.oob_inline || unread == 0 => (0, unread),
            0 => (1, unread - 1),
            ahead => (0, unread.min(ahead)),
        }
    }

    /// The octets that can be read now without passing the mark; with the octet behind it where that is in line.
    pub fn unread(&self) -> usize {
        let unread = self.receive_buffer.len();
        if self.options.oob_inline || !self.is.contains(Is::URGENT) {
            return unread;
        }
        unread.min(self.urgent_mark().saturating_since(self.read_position()) as usize)
    }

    /// After octets have left the receive buffer: a mark behind the reader is none any more.
    pub fn forget_passed_mark(&mut self) {
        if self.is.contains(Is::URGENT) && self.read_position().after(self.urgent_mark()) {
            self.is.remove(Is::URGENT | Is::URGENT_HERE | Is::URGENT_TAKEN);
        }
    }
}

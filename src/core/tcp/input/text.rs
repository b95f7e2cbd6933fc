//! Seventh, process the segment text.

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use crate::error::Error;
use crate::tcp::buffer::reassembly::Inserted;
use crate::tcp::context::Context;
use crate::tcp::rcv::LEAST_MSS;
use crate::tcp::segment::Segment;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::{AckReason, RstReason, Verdict};
use crate::wire::flags::Flags;

/// Octets of two of the smallest segments that a large buffer is to be filled with: one that is lost, one that is kept.
const PAIR: usize = 2 * 536;

impl Tcb {
    pub(super) fn seventh_process_text(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        if seg.text.is_empty() {
            return Continue(());
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-32
        //# This should not occur since a FIN has been received from the remote side. Ignore the segment
        //# text.
        if !self.state().may_receive() {
            // The peer has sent its FIN: text behind it should not be (§3.10.7.4).
            return Break(Verdict::Ignored);
        }
        if self.nobody_will_read() {
            cx.counters.tcp_abort_on_data += 1;
            // At what the peer has seen of us: behind a FIN that it has not seen the reset would only be challenged
            // (RFC 5961 §3.2).
            self.reset_at(seg.ack, Error::Reset, Event::Abort, RstReason::DataAfterClose, cx);
            return Break(Verdict::DataAfterClose);
        }
        self.measure_text(seg);
        if seg.seq == self.rcv.nxt {
            if cx.memory.is_bounded() && !self.has_memory_for(seg, cx) {
                return Break(Verdict::NoMemory);
            }
            self.take_in_order(seg, cx);
            Continue(())
        } else {
            self.keep_out_of_order(seg, cx)
        }
    }

    /// The text of a segment that follows one like it, which was taken: what spoke for that one speaks for this one.
    #[inline]
    pub(super) fn process_repeated_text(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) {
        self.measure_text(seg);
        if !self.wants_text() {
            return self.take_in_order(seg, cx);
        }
        debug_assert!(
            seg.text.as_slice().is_some(),
            "none that came by reference is taken for a repeated one"
        );
        // Nothing is missing, and what is not read is not urgent.
        let nxt = self.rcv.nxt;
        self.receive_buffer.push(seg.text.parts().0, seg.backing, cx.spares);
        self.rcv.advance(seg.text.len() as u32);
        self.tally.octets_received += seg.text.len() as u64;
        self.acks.advanced();
        self.right_size(nxt, seg, cx);
        self.acknowledge_text(cx);
    }

    #[inline]
    fn measure_text(&mut self, seg: &Segment<'_>) {
        match seg.joined {
            0 => {
                let (len, pushed) = (seg.text.len().min(0xffff) as u16, seg.flags.contains(Flags::PSH));
                self.rcv.measure(len, pushed, &mut self.acks.shorter);
            }
            // Only full segments are joined.
            full => self.rcv.mss = full.max(LEAST_MSS),
        }
    }

    /// Both directions are shut, so data can only be lost: SHLD-3 wants a reset instead.
    fn nobody_will_read(&self) -> bool {
        self.is.contains(Is::SHUT_READ)
            && (self.is.contains(Is::ORPHAN) || matches!(self.state(), State::FinWait1 | State::FinWait2))
    }

    /// Whether what comes is kept to be read.
    pub(in crate::tcp) fn wants_text(&self) -> bool {
        let owned = !self.is.contains(Is::ORPHAN);
        !self.is.contains(Is::SHUT_READ) || (owned && self.options.keep_after_shutdown)
    }

    #[inline]
    fn take_in_order(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) {
        let nxt = self.rcv.nxt;
        let wanted = self.wants_text();
        if wanted {
            self.receive_buffer.push_text(&seg.text, seg.backing, cx.spares);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-29
        //# it advances RCV.NXT over the data accepted, and adjusts RCV.WND as appropriate to the current
        //# buffer availability.
        self.rcv.advance(seg.text.len() as u32);
        self.tally.octets_received += seg.text.len() as u64;
        self.acks.advanced();
        let had_gap = !self.reassembly.is_empty();
        while had_gap && let Some(text) = self.reassembly.take(self.rcv.nxt) {
            self.rcv.advance(text.octets.len() as u32);
            self.tally.octets_received += text.octets.len() as u64;
            if wanted {
                self.receive_buffer.push_bytes(text.octets, text.pinned, cx.spares);
            }
        }
        if wanted {
            self.right_size(nxt, seg, cx);
        }
        if !wanted && self.urgent_mark().before(self.rcv.nxt) {
            // It lay in what nobody will read. Counted back from RCV.NXT over what is unread it would name other octets.
            self.is.remove(Is::URGENT | Is::URGENT_HERE | Is::URGENT_TAKEN);
        }
        if had_gap {
            // RFC 5681 §4.2: the sender learns at once what filled the gap.
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
            //= id=rfc5681-3.2-2
            //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
            //= id=rfc5681-4.2-7
            self.acks.now(AckReason::GapFilled);
        } else {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-28
            //# When the TCP endpoint takes responsibility for delivering the data to the user, it must also
            //# acknowledge the receipt of the data.
            self.acknowledge_text(cx);
        }
    }

    fn keep_out_of_order(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# A TCP implementation MAY send an ACK segment acknowledging RCV.NXT when a valid segment arrives
        //# that is in the window but not at the left window edge (MAY-13).
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //= id=rfc2018-4-4
        //# The receiver SHOULD send an ACK for every valid segment that arrives containing new data, and each
        //# of these "duplicate" ACKs SHOULD bear a SACK option.
        self.acks.out_of_order();
        if self.is.contains(Is::SACK) {
            // Without SACK an ACK counts as a duplicate only where its window is the same (RFC 5681 §2).
            self.offer_more(self.rcv.nxt, seg.text.len() as u32, cx.now);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# Segments with higher beginning sequence numbers SHOULD be held for later processing (SHLD-31).
        let joined;
        let (text, backing) = match seg.text.as_slice() {
            Some(text) => (text, seg.backing),
            None => {
                joined = seg.text.joined();
                (&joined[..], Some(&joined))
            }
        };
        let inserted = self.reassembly.insert(
            self.rcv.nxt,
            seg.seq,
            text,
            backing,
            // A full window of short runs, or of frames kept whole, takes more memory than it has octets.
            (2 * self.options.receive_buffer as usize + (64 << 10))
                .min(self.may_keep_out_of_order(cx.memory)),
            usize::from(cx.config.reassembly_ranges).max(self.options.receive_buffer as usize / PAIR),
        );
        match inserted {
            Inserted::New => {
                cx.counters.tcp_ofo_queue += 1;
                self.count_out_of_order();
                Continue(())
            }
            Inserted::Duplicate(range) | Inserted::Partial(range) => {
                self.acks.duplicate(range);
                Continue(())
            }
            Inserted::NoRoom => {
                cx.counters.tcp_ofo_drop += 1;
                Break(Verdict::NoMemory)
            }
        }
    }
}

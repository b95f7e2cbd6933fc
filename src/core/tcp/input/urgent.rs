//! Sixth, check the URG bit. Urgent data is read in line (RFC 6093 §5): the mark is all there is to it.

use crate::tcp::segment::Segment;
use crate::tcp::tcb::{Is, Tcb};
use crate::wire::flags::Flags;

impl Tcb {
    pub(super) fn sixth_check_urg(&mut self, seg: &Segment<'_>) {
        if !seg.flags.contains(Flags::URG) || !self.state().may_receive() {
            return;
        }
        // The pointer names the octet after the urgent data (MUST-62).
        let up = seg.seq.add(u32::from(seg.urgent));
        if up.after(self.rcv.nxt) && (!self.is.contains(Is::URGENT) || up.after(self.rcv.up)) {
            self.rcv.up = up;
            self.is.insert(Is::URGENT);
        }
    }
}

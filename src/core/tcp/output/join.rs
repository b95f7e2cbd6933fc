//! Segmentation offload: a run of full segments leaves as one packet, which the device cuts apart.
//!
//! What leaves is what would have left one by one: as much as may leave in one go ([`burst`](super::burst)), in segments
//! of the same size, the last of which may be short. Each of them has the header of the first, with its own sequence
//! number; PSH and FIN are the last one's alone, CWR the first one's. So where the first would differ from the others in
//! more than that, it leaves alone.

use crate::tcp::context::Context;
use crate::tcp::output::decide::Plan;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::Reason;
use crate::wire::flags::Flags;

/// The longest packet of IP, octets; IPv6 does not count its header (RFC 791 §3.1, RFC 8200 §3).
const LONGEST: u32 = 0xffff;

impl Tcb {
    /// Lengthens what is planned by the segments, of `mss` octets of text each, that would follow it at once.
    pub(super) fn join(&self, plan: &mut Plan, mss: u32, cx: &Context<'_>) {
        // What came twice is told in one segment (RFC 2883 §4).
        let tells_duplicate = self.is.contains(Is::SACK) && self.acks.dsack().is_some();
        let alone = plan.reason != Reason::Data || plan.len != mss || plan.fin || tells_duplicate;
        if cx.segmentation == 0 || alone || !self.can_be_cut(plan) {
            return;
        }
        let headers = u32::from(self.header_len()).saturating_add(self.options_len() as u32);
        let room = cx.segmentation.min(LONGEST).saturating_sub(headers);
        // A burst that is under way ends where its PSH will be.
        let under_way = self.snd.burst.contains(plan.seq).then(|| self.snd.burst.end.since(plan.seq));
        let paced = self.paced_burst(cx);
        let burst = under_way.unwrap_or(u32::MAX).min(self.burst(mss, cx)).min(paced - paced % mss);
        let len = self.within_record(plan.seq, burst.min(room - room % mss));
        if len <= mss {
            return;
        }
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        plan.fin = len == unsent && self.fin_due() && self.snd.usable() > len;
        plan.len = len;
    }

    /// Whether all segments that begin with this one have its flags and pointers.
    fn can_be_cut(&self, plan: &Plan) -> bool {
        // The urgent pointer counts from each segment's own sequence number (RFC 9293 §3.1).
        let urgent = self.snd.up.after(plan.seq);
        // In the ACE field CWR is a digit of a counter, and the device clears it behind the first (RFC 9768 §3.2.2).
        let counts =
            self.ecn.accurate.as_ref().is_some_and(|a| Flags::from_ace(a.ace()).contains(Flags::CWR));
        // Each part would need a number of its own where routers may cut it (RFC 6864 §4.1).
        self.forbids_fragments() && !urgent && !counts
    }
}

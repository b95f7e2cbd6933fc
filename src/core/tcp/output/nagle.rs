//! When a segment that is not full may leave: Nagle's rule as Minshall modified it (RFC 9293 §3.7.4 and Appendix A.3), the
//! sender's side of silly window avoidance (§3.8.6.2.1), `TCP_CORK` and `MSG_MORE`.

use crate::tcp::tcb::{Is, Tcb};

/// So many runs have to be free of the windows where what is less than one is held back.
const FREE: u32 = 2;

/// A segment that could leave.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Candidate {
    /// min(D, U): octets of text.
    pub(in crate::tcp) len: u32,
    /// The largest text a segment takes.
    pub(in crate::tcp) mss: u32,
    /// It holds all there is to send.
    pub(in crate::tcp) last: bool,
    /// Our FIN goes with it.
    pub(in crate::tcp) fin: bool,
}

impl Tcb {
    /// The program writes much, and again and again: what is left of a write behind whole runs, which leave as one packet each,
    /// may wait for the next one (MAY-16). Not where the windows are what it waits for. Says whether there is such a rest.
    pub(crate) fn hold_remainder(&mut self) -> bool {
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        let run = self.run();
        let holds = unsent > run && !unsent.is_multiple_of(run) && self.leaves_at_once() / FREE >= run;
        self.is.set(Is::HOLDS, holds);
        holds
    }

    /// Octets from SND.NXT on, `unsent` in all, that do not wait for more to be written. Before a FIN nothing does, nor does
    /// what recovery wants out, nor anything for longer than the override timer.
    pub(in crate::tcp) fn not_held(&self, unsent: u32) -> u32 {
        let holds = self.is.contains(Is::HOLDS) && !self.is.contains(Is::OVERRIDE);
        if holds && !self.fin_due() && !self.new_data_is_urgent() {
            unsent - unsent % self.run()
        } else {
            unsent
        }
    }

    /// The rule of §3.8.6.2.1. All text counts as pushed: a program that writes wants it sent.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1
    //= id=MUST-38
    //# A TCP implementation MUST include a SWS avoidance algorithm in the sender (MUST-38).
    pub(in crate::tcp) fn may_leave(&self, c: Candidate) -> bool {
        if c.len >= c.mss || self.is.contains(Is::OVERRIDE) {
            return true;
        }
        if c.fin && c.last {
            return true;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
        //= id=MAY-16
        //# the TCP implementation MAY aggregate the data internally without sending it (MAY-16).
        if self.options.cork || self.is.contains(Is::MORE) {
            return false;
        }
        // Full segments will be acknowledged soon; only another short one that is outstanding makes this one wait. So what a
        // program writes at once leaves at once, its last, short segment too.
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.4
        //# A TCP implementation SHOULD implement the Nagle algorithm to coalesce short segments (SHLD-7).
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.4
        //# However, there MUST be a way for an application to disable the Nagle algorithm on an individual
        //# connection (MUST-17).
        let nagle = self.options.nodelay || self.snd.short.at_or_before(self.snd.una);
        nagle && (c.last || c.len >= self.snd.max_wnd / 2)
    }
}

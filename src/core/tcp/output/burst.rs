//! Bursts, and where PSH is set (RFC 9293 §3.9.1.2).
//!
//! PSH asks the receiver to wait no longer. It belongs to the end of what a program wrote, unless the program said that
//! more follows: such a write has no PUSH flag (MAY-15). It is worth setting at the end of a burst too: receivers that
//! join arriving segments hold the last one back for its successor, which comes only after their ACK. Linux does both.
//!
//! When text is sent again the two part. The end of what was written is a property of the octet: PSH stays with it however
//! the text is cut or joined. The end of a burst is one of the transmission: what goes out in one go ends with PSH, of the
//! first time or of another, and a segment that ended a burst once and is sent again alone has none. That is what Linux
//! 6.18 sends.

use crate::seq::{Seq, SeqRange};
use crate::tcp::context::Context;
use crate::tcp::output::decide::Plan;
use crate::tcp::output::nagle::Candidate;
use crate::tcp::tcb::{Is, Tcb};
use crate::time::Duration;

/// The most octets that a burst has, whatever its speed.
const MOST: u64 = 64 << 10;

/// Microseconds of the least round trip by which bursts get shorter: half as long with each.
const NEAR: u64 = 512;

impl Tcb {
    /// The program is about to write. The last run is filled up, or what is left of it where its begin has left, or
    /// will at once.
    pub(crate) fn will_write(&mut self) {
        let (end, run) = (self.data_end(), self.run());
        if self.snd.nxt.at_or_after(end) {
            self.snd.run = end.add(self.leaves_at_once());
        } else if end.at_or_after(self.snd.run) {
            let written = end.since(self.snd.run);
            let last = self.snd.run.add(written - written % run);
            if self.snd.nxt.after(last) {
                self.snd.run = self.snd.nxt;
            }
        }
    }

    /// All before `ack` is acknowledged: runs behind it need no place.
    pub(in crate::tcp) fn pass_runs(&mut self, ack: Seq) {
        if ack.after(self.snd.run) {
            let (passed, run) = (ack.since(self.snd.run), self.run());
            self.snd.run = self.snd.run.add(passed - passed % run);
        }
    }

    /// Octets from SND.NXT to the end of its run.
    pub(super) fn to_end_of_run(&self) -> u32 {
        let (run, nxt) = (self.run(), self.snd.nxt);
        match nxt.before(self.snd.run) {
            true => self.snd.run.since(nxt),
            false => run - nxt.since(self.snd.run) % run,
        }
    }

    /// The program has written; it said that `more` follows, or not.
    pub(crate) fn has_written(&mut self, more: bool) {
        self.is.set(Is::MORE, more);
        if !more {
            self.push();
        }
    }

    /// What the program has written so far is to be pushed.
    pub(in crate::tcp) fn push(&mut self) {
        self.snd.pushed = self.data_end();
    }

    /// Whether what is planned, which is about to leave in segments of `mss` octets of text, has PSH set at its end; and whether
    /// that is because what the program wrote ends with it.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
    //= id=MUST-61
    //# MUST set the PSH bit in the last buffered segment
    pub(super) fn pushes(&mut self, plan: Plan, mss: u32, cx: &Context<'_>) -> (bool, bool) {
        if plan.len == 0 {
            return (false, false);
        }
        let end = plan.seq.add(plan.len);
        let written = self.snd.pushed.after(plan.seq) && self.snd.pushed.at_or_before(end);
        let ends_text = written || self.ends_syn_text(end) || self.ends_record(end);
        if plan.seq != self.snd.nxt {
            let ends_text = ends_text || self.recovery.pushed_within(plan.seq, end);
            let mss = self.smss();
            let in_flight = self.recovery.in_flight_beside_repairs(&self.snd);
            let uncongested = self.cwnd().saturating_sub(in_flight);
            let most = self.burst_size(mss, cx).min(uncongested - uncongested % mss);
            return (ends_text || self.recovery.ends_burst(plan.seq, end, most), ends_text);
        }
        (ends_text || self.ends_burst(plan.seq, end, mss, cx), ends_text)
    }

    /// Whether new text up to `end` is the last of a burst of more than one segment. A burst may be cut short by what
    /// happens meanwhile: nothing but its PSH is lost.
    fn ends_burst(&mut self, seq: Seq, end: Seq, mss: u32, cx: &Context<'_>) -> bool {
        if !self.snd.burst.contains(seq) {
            self.snd.burst = SeqRange::new(seq, seq.add(self.burst(mss, cx)));
        }
        let several = seq.after(self.snd.burst.start) || end.since(seq) > mss;
        end.at_or_after(self.snd.burst.end) && several
    }

    /// Octets of new text that may leave in one go now, in segments of `mss`.
    pub(super) fn burst(&self, mss: u32, cx: &Context<'_>) -> u32 {
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        let usable = self.snd.usable();
        let cwnd = self.cwnd().saturating_add(self.recovery.allowance(self.smss()));
        let uncongested = cwnd.saturating_sub(self.in_flight()).max(mss);
        let wanted =
            self.not_held(unsent).min(usable).min(self.longest_burst(mss, cx)).min(self.to_end_of_run());
        let wanted =
            self.left_of_new_data_first().map_or(wanted, |left| wanted.min(mss.saturating_mul(left.into())));
        let octets = if wanted > uncongested { uncongested - uncongested % mss } else { wanted };
        let short = octets % mss;
        let last = octets == unsent;
        let fin = last && self.fin_due() && usable > octets;
        // What Nagle's rule holds back is not part of it.
        if short == 0 || self.may_leave(Candidate { len: short, mss, last, fin }) {
            octets
        } else {
            octets - short
        }
    }

    /// No more than half the window, so that one burst is being made while the other travels.
    pub(super) fn longest_burst(&self, mss: u32, cx: &Context<'_>) -> u32 {
        let half = (self.congestion.cwnd() / mss / 2).max(1).saturating_mul(mss);
        let size = self.burst_size(mss, cx);
        if self.congestion.send_quantum().is_some() { size } else { size.min(half) }
    }

    /// Whether the peer is so near that the bursts to it are as long as any: in the same host, or beside it.
    pub(crate) fn is_near(&self) -> bool {
        self.rtt.min_rtt().is_some_and(|min| min.as_micros() < NEAR.into())
    }

    /// About a millisecond's worth of what the path takes at twice the window a round trip, and more where the round
    /// trip is short.
    fn burst_size(&self, mss: u32, cx: &Context<'_>) -> u32 {
        if let Some(quantum) = self.congestion.send_quantum() {
            return quantum - quantum % mss;
        }
        let cwnd = u64::from(self.congestion.cwnd());
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let by_rate = match self.rtt.srtt().map(micros) {
            Some(srtt) => 2 * cwnd * 1_000_000 / 1024 / srtt.max(1),
            None => MOST,
        };
        // No more than a limit of the program's lets go in that time.
        let by_rate = self.options.pacing_limit().map_or(by_rate, |limit| by_rate.min(limit / 1000));
        let by_distance = match self.rtt.min_rtt().map(micros) {
            Some(min) => MOST >> (min / NEAR).min(63),
            None => MOST,
        };
        let segments = (by_rate.saturating_add(by_distance).min(MOST) / u64::from(mss)) as u32;
        segments.max(cx.config.burst_segments.into()).saturating_mul(mss)
    }
}

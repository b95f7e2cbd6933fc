//! Everything outstanding, or nearly, is lost: a time-out, a path that takes only smaller packets, a window that was closed.

use super::delivery::tell_lost;
use crate::seq::SeqRange;
use crate::tcp::congestion::CongestionEvent;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::recovery::episode::{Episode, Frto, Undo};
use crate::tcp::recovery::scoreboard::Mark;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::timers::Timer;
use crate::tcp::trace::Reason;

impl Tcb {
    /// The retransmission timer ran out (RFC 6298 §5.4, RFC 8985 §6.3): slow start from the oldest segment.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.8
    //= id=STEP-3.10.8-2
    //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
    //= id=rfc5682-3.1-4
    //= https://www.rfc-editor.org/rfc/rfc5682#section-2.1
    //= id=rfc5682-2.1-1, rfc5682-2.1-2
    //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
    //= id=rfc3522-3.2-2
    //= https://www.rfc-editor.org/rfc/rfc4015#section-3.1
    //= id=rfc4015-3.1-2
    pub(in crate::tcp) fn enter_loss(&mut self, cx: &mut Context<'_>) {
        let phase = self.recovery.phase;
        let mut flight = self.in_flight();
        if self.recovery.sack || phase == Phase::Recovery {
            // What duplicates let out is outstanding too: half of all that can be more than the threshold is now.
            flight = self.flight_size();
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.3
        //= id=rfc5681-4.3-4
        //# Loss in two successive windows of data, or the loss of a retransmission, should be taken as two
        //# indications of congestion and, therefore, cwnd (and ssthresh) MUST be lowered twice in this case.
        let first = self.recovery.timeouts == 0;
        let recovery = &mut self.recovery;
        recovery.timeouts = recovery.timeouts.saturating_add(1);
        cx.counters.tcp_sack_reneging += u64::from(recovery.board.is_reneged());
        if phase <= Phase::Disorder
            && recovery.board.segments(Mark::SACKED) >= u32::from(cx.config.reordering)
        {
            // Much had arrived, and still this: the path reorders less than was thought.
            recovery.dup_thresh = recovery.dup_thresh.min(cx.config.reordering.max(1));
        }
        let again = recovery.timeouts > 1;
        //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
        //# This algorithm SHOULD NOT be applied if the TCP sender is already in loss recovery when a
        //# retransmission timeout occurs.
        let doubtful = cx.config.frto && (phase < Phase::Recovery || again);
        let undo = match &mut recovery.episode {
            Some(episode) if !first => core::mem::take(&mut episode.undo),
            _ => Undo::begin(self.snd.una, &recovery.board),
        };
        let frto = doubtful.then_some(Frto::Retransmitted);
        recovery.set_episode(Episode::new(None, undo, frto));
        let is_lost = self.rack_timed_out(cx.now);
        self.recovery.board.disbelieve_sacks();
        self.recovery.board.part_oldest();
        let (rate, congestion) = (&mut self.rate, &mut self.congestion);
        self.recovery.board.mark_lost(|record| {
            let lost = is_lost(record);
            if lost {
                tell_lost(rate, congestion, record.range(), &record.stamp);
            }
            lost
        });
        self.is.remove(Is::UNREDUCED);
        self.all_is_lost(Reason::RetransmissionTimeout);
        // What left only lately is not deemed lost: it is in flight still.
        let underway = if self.congestion.sizes_own_window() { self.in_flight() } else { flight };
        self.congestion.on_event(CongestionEvent::Timeout { first }, underway, cx.now);
        self.ecn.window_reduced();
    }

    /// The SYN or SYN,ACK timed out.
    pub(in crate::tcp) fn handshake_lost(&mut self) {
        self.recovery.timeouts = self.recovery.timeouts.saturating_add(1);
        self.recovery.request(Reason::SynTimeout);
    }

    /// The path takes only smaller packets: what is outstanding of larger ones will not arrive. This is no congestion
    /// (RFC 8201 §5.4).
    pub(in crate::tcp) fn lost_to_path_mtu(&mut self) {
        let most = self.effective_mss(self.options_len());
        if self.recovery.board.mark_larger_lost(most).octets == 0 {
            return;
        }
        let oldest = self.recovery.next_lost().is_some_and(|lost| lost.start == self.snd.una);
        self.repair_without_congestion(Reason::PathMtu);
        if !oldest {
            // It was small enough, and may have arrived.
            self.recovery.pending = None;
        }
    }

    /// The peer's window, closed before, has opened: what was sent against it, a probe at least, was not
    /// taken, and waiting for the timer would stall the connection.
    pub(in crate::tcp) fn lost_to_closed_window(&mut self) {
        self.lost_without_congestion(Reason::WindowOpened);
    }

    /// The answer to our SYN did not take the text in it, or not all (RFC 7413 §4.2.2).
    pub(in crate::tcp) fn lost_with_syn(&mut self) {
        self.lost_without_congestion(Reason::SynTextRefused);
    }

    /// A probe of what the path carries was too large. This is no congestion either (RFC 4821 §7.6.2).
    pub(in crate::tcp) fn lost_to_mtu_probe(&mut self, probe: SeqRange) {
        self.recovery.board.mark_lost(|record| probe.contains(record.start));
        self.repair_without_congestion(Reason::MtuProbeLost);
    }

    fn lost_without_congestion(&mut self, reason: Reason) {
        if self.snd.una == self.snd.nxt {
            return;
        }
        self.recovery.board.mark_lost(|_| true);
        self.repair_without_congestion(reason);
    }

    fn repair_without_congestion(&mut self, reason: Reason) {
        self.is.set(Is::UNREDUCED, !self.reduces_for_loss());
        self.recovery.board.excuse(SeqRange::new(self.snd.una, self.snd.nxt));
        if let Some(episode) = &mut self.recovery.episode {
            **episode = Episode::new(None, Undo::default(), None);
        }
        self.all_is_lost(reason);
    }

    //= https://www.rfc-editor.org/rfc/rfc6675#section-5.1
    //= id=rfc6675-5.1-5
    fn all_is_lost(&mut self, reason: Reason) {
        //= https://www.rfc-editor.org/rfc/rfc2018#section-5
        //= id=rfc2018-5-3
        //# The data sender MUST retransmit the segment at the left edge of the window after a retransmit timeout,
        //# whether or not the SACKed bit is on for that segment.
        let recovery = &mut self.recovery;
        recovery.phase = Phase::Loss;
        recovery.newreno.reset();
        recovery.tlp.forget();
        // All of it is sent again: a probe would say nothing (RFC 8985 §7.2).
        self.timers.cancel(Timer::Tlp);
        //= https://www.rfc-editor.org/rfc/rfc6675#section-5.1
        //# If an RTO occurs during loss recovery as specified in this document, RecoveryPoint MUST be set to
        //# HighData.
        recovery.recover = self.snd.nxt;
        recovery.pending = Some(reason);
    }
}

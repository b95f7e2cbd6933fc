//! What an ACK means for recovery, and for the window: the phases and what moves between them.

mod delivery;

mod mishaps;

pub mod news;

pub mod undo;

pub mod frto;

pub mod detect;

pub mod probe;

pub mod lost;

use self::news::News;
use crate::seq::Seq;
use crate::tcp::congestion::{AckSample, CongestionEvent};
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::recovery::episode::{Episode, Undo};
use crate::tcp::recovery::newreno::Progress;
use crate::tcp::recovery::prr::Prr;
use crate::tcp::recovery::scoreboard::Lost;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::timers::Timer;
use crate::time::{Duration, Instant};

/// Duplicate ACKs that mean a loss where a path was never seen to reorder (RFC 5681 §3.2).
const DUP_THRESH: u16 = 3;

/// The least to wait for an ACK of what was reported to have arrived, as in Linux.
const RENEGING_WAIT: Duration = Duration::from_millis(10);

/// What an ACK told, as far as the window goes by it.
struct Told {
    /// As in [`News`].
    advanced: u32,
    delivered: u32,
    sacked: u32,
    in_flight: u32,
    lost: u32,
    /// Of what was delivered, the youngest that was sent only once took this long.
    rtt: Option<Duration>,
}

impl Told {
    fn by(news: &News, now: Instant) -> Self {
        let &News { advanced, delivered, sacked, in_flight, lost, .. } = news;
        Self { advanced, delivered, sacked, in_flight, lost, rtt: news.rtt(now) }
    }
}

impl Tcb {
    /// The news of an ACK are complete.
    pub(in crate::tcp) fn respond(&mut self, ack: Seq, news: &mut News, cx: &mut Context<'_>) {
        if self.is_quiet(news) {
            self.recovery.rack.end_round(self.snd.una);
            return;
        }
        let before = self.recovery.phase;
        let after_timeout = before == Phase::Loss;
        let cwnd_limited = self.uses_cwnd();
        if let Some(rtt) = news.rtt(cx.now) {
            //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
            //= id=rfc8985-6.2-s1
            self.rtt.observe(rtt, cx.now);
            self.probe_sampled();
            if news.advanced == 0 && before != Phase::Loss {
                // Else a repair goes by the round trips before the queue that it is the end of, and its timer runs out. What was
                // sent once is measured honestly by a SACK too (RFC 6298 §3); each shares the weight of one (RFC 7323
                // Appendix G).
                let samples = self.in_flight().div_ceil(2 * self.smss());
                self.rtt.sample(rtt, cx.config.min_rto, cx.config.max_rto, samples);
            }
        }
        if news.dsack.is_some() {
            self.undo_duplicate_reported(news);
            self.rack_duplicate_reported();
        }
        self.recovery.rack.end_round(self.snd.una);
        self.take_probe_ack(ack, news, cx.now);
        self.mtu_acknowledged(news, cx);
        let restarts = if self.recovery.sack {
            if news.advanced > 0 {
                self.take_progress();
            }
            if news.advanced > 0 && self.recovery.board.is_reneged() {
                self.wait_for_what_was_reported(cx);
                return;
            }
            self.check_reordering(news, cx);
            self.respond_with_sack(news, cx);
            news.advanced > 0
        } else {
            self.respond_without_sack(news, cx)
        };
        self.size_window(&Told::by(news, cx.now), cwnd_limited, after_timeout, cx);
        let calm = before.max(self.recovery.phase) <= Phase::Disorder;
        if calm && news.advanced > 0 {
            self.leave_episode_behind();
        }
        if restarts && !self.timers.is_armed(Timer::Reordering) {
            // RFC 6298 §5.3: the timer starts anew.
            self.timers.cancel(Timer::Rto);
            self.schedule_probe(cx);
        }
    }

    /// The same, where SND.UNA has moved over `acked` octets of `in_flight` and nothing is, or was, to be repaired: with SACK,
    /// outside an episode, with nothing told of selectively and no probe out. The last of them left at `sent`.
    pub(in crate::tcp) fn respond_in_calm(
        &mut self,
        acked: u32,
        in_flight: u32,
        sent: Option<Instant>,
        cx: &mut Context<'_>,
    ) {
        let cwnd_limited = self.uses_cwnd();
        let rtt = sent.map(|sent| cx.now.nanos_since(sent));
        if let Some(rtt) = rtt {
            self.rtt.observe_nanos(rtt, cx.now);
            self.probe_sampled();
        }
        let rtt = rtt.map(Duration::from_nanos);
        self.recovery.rack.end_round(self.snd.una);
        self.take_progress();
        self.recovery.newreno.dup_acks = 0;
        let lost = self.rack_mark_lost(cx).octets;
        self.settle_phase(acked, cx);
        let told = Told { advanced: acked, delivered: acked, sacked: 0, in_flight, lost, rtt };
        self.size_window(&told, cwnd_limited, false, cx);
        if self.recovery.phase <= Phase::Disorder {
            self.leave_episode_behind();
        }
        self.schedule_probe(cx);
    }

    /// With SACK, SND.UNA has moved: what watched over what was outstanding begins anew (RFC 6298 §5.3, RFC 8985 §7.2).
    fn take_progress(&mut self) {
        self.recovery.timeouts = 0;
        self.recovery.pending = None;
        self.recovery.tlp.due = false;
        // What was waited for may have come, though nothing else did that says so.
        self.recovery.rack.advanced |= self.timers.is_armed(Timer::Reordering);
        for timer in [Timer::Rto, Timer::Tlp] {
            self.timers.cancel(timer);
        }
    }

    /// SND.UNA moves on, and no episode is under way.
    fn leave_episode_behind(&mut self) {
        if self.snd.una.at_or_after(self.recovery.recover) {
            // What was outstanding when an episode ended does not begin another (RFC 6582 §4). Later it trails SND.UNA closely
            // enough for comparisons to hold after a wrap.
            self.recovery.recover = self.snd.una.sub(1);
            self.recovery.age_undo(self.snd.una, self.snd.nxt);
        }
    }

    /// Nothing was in flight and nothing is to be repaired, as where one end alone sends: there is nothing to respond to.
    fn is_quiet(&self, news: &News) -> bool {
        news.una == self.snd.nxt
            && news.advanced == 0
            && news.dsack.is_none()
            && news.youngest.is_none()
            && self.has_nothing_to_respond()
    }

    /// The peer had reported what it now asks for. Either the ACK that covers it is still on its way, or the peer has
    /// thrown it away (RFC 2018 §8), and all is to be sent again.
    fn wait_for_what_was_reported(&mut self, cx: &Context<'_>) {
        let wait = self.rtt.srtt().unwrap_or_default() / 2;
        self.timers.cancel(Timer::Reordering);
        self.timers.arm(Timer::Rto, self.before_giving_up(cx.now + wait.max(RENEGING_WAIT), cx));
    }

    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.4.1
    //= id=rfc8985-7.4.1-s1
    fn respond_with_sack(&mut self, news: &mut News, cx: &mut Context<'_>) {
        if news.advanced > 0 {
            self.recovery.newreno.dup_acks = 0;
        } else if news.sacked > 0 {
            self.recovery.newreno.dup_acks = self.recovery.newreno.dup_acks.saturating_add(1);
        }
        let covered = self.snd.una.at_or_after(self.recovery.recover);
        if covered && self.recovery.reduces() {
            //= https://www.rfc-editor.org/rfc/rfc6675#section-5
            //# (A) An incoming cumulative ACK for a sequence number greater than RecoveryPoint signals the end of
            //# loss recovery, and the loss recovery phase MUST be terminated.
            if self.recovery.phase == Phase::Recovery {
                self.try_undo_recovery(news, cx);
            }
            self.recovery.phase = Phase::Open;
            self.recovery.end_episode();
            self.recovery.forget_stamp();
        }
        match self.recovery.phase {
            Phase::Recovery => {
                if news.advanced > 0 && self.try_undo_partial(news, cx) {
                    return;
                }
                if self.try_undo_duplicates(cx) {
                    self.recovery.phase = Phase::Open;
                }
                news.lost = self.rack_mark_lost(cx).octets;
                if self.recovery.phase == Phase::Open {
                    self.settle_phase(news.delivered, cx);
                } else if news.lost > 0 {
                    self.heed_overflow();
                }
            }
            Phase::Loss => {
                self.process_loss(news, cx);
                let lost = self.rack_mark_lost(cx);
                news.lost = lost.octets;
                if self.recovery.phase == Phase::Open || self.begins_anew(lost) {
                    self.settle_phase(news.delivered, cx);
                }
            }
            Phase::Open | Phase::Disorder | Phase::Cwr => {
                if self.recovery.phase != Phase::Cwr {
                    self.try_undo_duplicates(cx);
                }
                news.lost = self.rack_mark_lost(cx).octets;
                self.settle_phase(news.delivered, cx);
            }
        }
    }

    /// Whether the window has come down for what is being repaired, or for a mark.
    pub(in crate::tcp) fn reduces_for_loss(&self) -> bool {
        let phase = self.recovery.phase;
        phase >= Phase::Cwr && !(phase == Phase::Loss && self.is.contains(Is::UNREDUCED))
    }

    /// In [`Phase::Loss`], while all that was lost is sent again: whether what is lost now is to be answered by itself.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //# If any other data loss is detected, standard congestion control MUST take place.
    fn begins_anew(&self, lost: Lost) -> bool {
        lost.resent > 0 || lost.octets > 0 && self.is.contains(Is::UNREDUCED)
    }

    /// Outside an episode: whether one begins.
    fn settle_phase(&mut self, delivered: u32, cx: &mut Context<'_>) {
        if self.recovery.board.lost() > 0 {
            self.enter_recovery(delivered, cx);
        } else if self.recovery.phase != Phase::Cwr {
            let sacked = self.recovery.board.sacked() > 0;
            self.recovery.phase = if sacked { Phase::Disorder } else { Phase::Open };
        }
    }

    /// What the slow start threshold is set from: FlightSize without what limited transmit sent (RFC 5681 §3.2, step 2).
    pub(in crate::tcp) fn flight_size(&self) -> u32 {
        self.snd.outstanding().min(self.cwnd())
    }

    /// Something is lost: fast recovery begins, with an ACK that told of `delivered` octets.
    fn enter_recovery(&mut self, delivered: u32, cx: &mut Context<'_>) {
        if self.mtu_probe_lost(cx) {
            return;
        }
        let flight = self.flight_size();
        cx.counters.tcp_fast_retrans += 1;
        cx.counters.tcp_sack_recovery += 1;
        let reduced = self.recovery.phase == Phase::Cwr;
        self.suspect_overflow(cx);
        self.begin_episode(Phase::Recovery, delivered);
        if !reduced {
            self.congestion.on_event(CongestionEvent::Loss, flight, cx.now);
            self.ecn.window_reduced();
        }
        self.heed_overflow();
        self.timed = None;
        // It starts anew with the retransmission (RFC 6298 §5).
        for timer in [Timer::Rto, Timer::Tlp] {
            self.timers.cancel(timer);
        }
        if !self.is_paced_always(cx.config) {
            // Slow start was paced, and is over.
            self.timers.cancel(Timer::Pacing);
        }
    }

    /// The peer told of a congestion mark: the window comes down as after a loss, but nothing is lost (RFC 3168 §6.1.2).
    /// Not while it comes down already. Says whether it does now.
    pub(in crate::tcp) fn enter_cwr(&mut self, delivered: u32, cx: &mut Context<'_>) -> bool {
        if self.reduces_for_loss() || self.snd.una == self.snd.nxt {
            return false;
        }
        // What was in flight when the ACK came: it may have acknowledged much of it.
        let flight = self.snd.outstanding().saturating_add(delivered).min(self.cwnd());
        if self.recovery.phase == Phase::Loss {
            // What was lost to no congestion is sent again yet, and now the window has come down, once for all that has left.
            self.is.remove(Is::UNREDUCED);
            self.recovery.recover = self.snd.nxt;
        } else {
            self.begin_episode(Phase::Cwr, delivered);
        }
        self.congestion.on_event(CongestionEvent::Ecn, flight, cx.now);
        true
    }

    //= https://www.rfc-editor.org/rfc/rfc9937#section-5
    //= id=rfc9937-5-3
    //= https://www.rfc-editor.org/rfc/rfc8985#section-9.3
    //= id=rfc8985-9.3-2
    fn begin_episode(&mut self, phase: Phase, delivered: u32) {
        let (flight, cwnd) = (self.snd.outstanding(), self.cwnd());
        let recovery = &mut self.recovery;
        let reduced = recovery.phase == Phase::Cwr;
        recovery.phase = phase;
        recovery.recover = self.snd.nxt;
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.1
        //= id=rfc8985-7.1-s1
        recovery.tlp.forget();
        // What a mark took is not given back, whatever proves needless.
        let undo = match phase {
            Phase::Recovery if !reduced => Undo::begin(self.snd.una, &recovery.board),
            _ => Undo::default(),
        };
        let reduces = (recovery.sack || phase == Phase::Cwr) && !self.congestion.sizes_own_window();
        let prr = reduces.then(|| Prr::new(flight, recovery.board.sacked(), delivered, cwnd));
        recovery.set_episode(Episode::new(prr, undo, None));
    }

    /// Without SACK. Says whether the retransmission timer starts anew.
    fn respond_without_sack(&mut self, news: &mut News, cx: &mut Context<'_>) -> bool {
        let mss = self.smss();
        if news.advanced == 0 {
            if news.duplicate {
                if self.recovery.phase == Phase::Loss {
                    self.process_loss(news, cx);
                }
                self.take_duplicate_ack(mss, cx);
            }
            return false;
        }
        // Duplicate ACKs have told of some of it before, and let as much leave (RFC 3042).
        let told = u32::from(self.recovery.dup_acks()).saturating_mul(mss);
        news.delivered = news.advanced.saturating_sub(told).max(news.advanced.min(mss));
        let covered = self.snd.una.at_or_after(self.recovery.recover);
        match self.recovery.phase {
            Phase::Loss => {
                self.process_loss(news, cx);
            }
            Phase::Recovery if covered => {
                self.try_undo_recovery(news, cx);
            }
            Phase::Cwr if covered => {
                self.recovery.phase = Phase::Open;
                self.recovery.recover = self.snd.una.sub(1);
                self.recovery.end_episode();
            }
            _ => {}
        }
        match self.recovery.on_ack(&self.snd, news.advanced, mss) {
            Progress::Normal => {}
            //= https://www.rfc-editor.org/rfc/rfc6582#section-6
            //= id=rfc6582-6-3
            //# cwnd should not be updated until a further event occurs
            Progress::Ended => news.delivered = 0,
            // RFC 6298 §5.3, but in fast recovery only the first time (RFC 6582 §3.2).
            Progress::Partial { first } => {
                news.delivered = 0;
                return first;
            }
        }
        true
    }

    fn take_duplicate_ack(&mut self, mss: u32, cx: &mut Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
        //= id=rfc5681-3.2-7, rfc5681-3.2-8
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.3
        //= id=rfc5681-4.3-1
        let flight = self.snd.outstanding().saturating_sub(self.recovery.limited());
        let reduced = self.recovery.phase == Phase::Cwr;
        if self.recovery.on_duplicate_ack(&self.snd, mss) && !self.mtu_probe_lost(cx) {
            cx.counters.tcp_fast_retrans += 1;
            self.oldest_is_lost();
            let una = self.snd.una;
            let undo = if reduced { Undo::default() } else { Undo::begin(una, &self.recovery.board) };
            self.recovery.set_episode(Episode::new(None, undo, None));
            //= https://www.rfc-editor.org/rfc/rfc2018#section-5.1
            //= id=rfc2018-5.1-1
            //# However, the congestion control algorithms present in the de facto standard TCP implementations MUST
            //# be preserved [Stevens94].
            if !reduced {
                self.congestion.on_event(CongestionEvent::Loss, flight, cx.now);
                self.ecn.window_reduced();
            }
            self.timed = None;
            // It starts anew with the retransmission, which else would be repeated less than one RTO later
            // (RFC 6298 §5).
            self.timers.cancel(Timer::Rto);
        }
    }

    /// The window grows, or in an episode comes down.
    //= https://www.rfc-editor.org/rfc/rfc9937#section-6.2
    //= id=rfc9937-6.2-s1
    fn size_window(&mut self, told: &Told, cwnd_limited: bool, after_timeout: bool, cx: &Context<'_>) {
        if self.recovery.cwnd().is_some() {
            let (in_flight, mss) = (self.in_flight(), self.smss());
            let ssthresh = self.congestion.ssthresh();
            if let Some(prr) = self.recovery.prr() {
                let safe = told.advanced > 0 && told.lost == 0;
                prr.on_ack(told.delivered, in_flight, ssthresh, safe, mss);
            }
        }
        let moved = told.advanced > 0 || (self.recovery.dup_thresh > DUP_THRESH && told.sacked > 0);
        let rate = self.rate_sample(told.rtt, cx.now);
        let sample = AckSample {
            now: cx.now,
            acked: told.delivered,
            rtt: told.rtt,
            in_flight: told.in_flight,
            cwnd_limited,
            after_timeout,
            reducing: self.recovery.reduces() || self.ecn_forbids_growth(),
            lost: told.lost,
            marked: self.ecn.take_marked(),
            una: self.snd.una,
            nxt: self.snd.nxt,
            srtt: self.rtt.srtt(),
            rate,
        };
        if self.congestion.sizes_own_window() {
            self.model_ack(&sample);
        } else if told.delivered > 0 && moved {
            self.congestion.on_ack(&sample);
        }
    }

    /// The reordering timer ran out: what was waited for is lost (RFC 8985 §6.2, step 5).
    pub(in crate::tcp) fn reordering_timeout(&mut self, cx: &mut Context<'_>) {
        let lost = self.rack_detect(cx);
        let again = self.recovery.phase == Phase::Loss && self.begins_anew(lost);
        if lost.octets > 0 && self.recovery.phase == Phase::Recovery {
            self.heed_overflow();
        }
        if lost.octets > 0 && (self.recovery.phase < Phase::Recovery || again) {
            self.enter_recovery(0, cx);
            let (in_flight, ssthresh, mss) = (self.in_flight(), self.congestion.ssthresh(), self.smss());
            if let Some(prr) = self.recovery.prr() {
                prr.on_ack(mss, in_flight, ssthresh, false, mss);
            }
        }
        self.arm_retransmission(cx);
    }
}

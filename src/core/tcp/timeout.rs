//! What happens when a timer runs out.

use super::context::Context;
use super::state::{Event, State};
use super::tcb::{Is, Tcb};
use super::timers::Timer;
use crate::error::Error;
use crate::tcp::trace::Reason;
use crate::time::{Duration, Instant};

/// How long a silly window or a cork holds data back: between the 0.1 and 1.0 seconds of RFC 9293
/// §3.8.6.2.1, and what Linux documents for `TCP_CORK`.
const OVERRIDE_TIMEOUT: Duration = Duration::from_millis(200);

/// The shortest of the times a program may ask for in keep-alive, as in Linux: each answer starts the next wait,
/// so with none there would be no end of probes.
pub(super) const KEEPALIVE_MIN: Duration = Duration::from_secs(1);

/// R1: after so many retransmissions of one segment the program is told.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//# The value of R1 SHOULD correspond to at least 3 retransmissions, at the current RTO (SHLD-10).
const R1: u8 = 3;

impl Tcb {
    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(timer) = self.timers.expired(cx.now) {
            match timer {
                Timer::Rto => self.retransmission_timeout(cx),
                Timer::Persist => self.persist_timeout(cx),
                Timer::DelayedAck => self.delayed_ack_due(cx),
                Timer::KeepAlive => self.keepalive_timeout(cx),
                Timer::Reordering => self.reordering_timeout(cx),
                Timer::Tlp => self.probe_timeout(cx),
                Timer::FinWait2 => self.transition(Event::TimedOut, cx),
                // That it is not armed lets the next burst go.
                Timer::Pacing => {}
            }
        }
    }

    /// RFC 6298 §5.4 to 5.6, with the limits of RFC 9293 §3.8.3.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
    //= id=MUST-22
    //# SYN retransmissions MUST be handled in the general way just described for data retransmissions
    pub(super) fn retransmission_timeout(&mut self, cx: &mut Context<'_>) {
        let waited = cx.now.saturating_since(self.progress);
        let give_up = if self.syn_unacked() {
            self.recovery.timeouts() >= self.syn_limit(cx)
                || self.user_timeout(cx.config).is_some_and(|limit| waited >= limit)
        } else {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
            //# An application MUST (MUST-21) be able to set the value for R2 for a particular connection.
            waited >= self.give_up_after(cx.config)
        };
        self.fast_open_timed_out(give_up, cx);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.8
        //= id=STEP-3.10.8-1
        //# For any state if the user timeout expires, flush all queues
        if give_up {
            cx.counters.tcp_abort_on_timeout += 1;
            let error = self.soft_error.unwrap_or(Error::TimedOut);
            self.fail(error, Event::TimedOut, cx);
            return;
        }
        cx.counters.tcp_timeouts += 1;
        self.count_timeout(cx.now);
        if self.syn_unacked() {
            self.handshake_lost();
        } else {
            self.enter_loss(cx);
        }
        self.ecn.timer_ran_out();
        self.mtu_timed_out(self.recovery.timeouts().saturating_sub(R1), cx);
        if self.recovery.timeouts() > R1 {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
            //= id=SHLD-9
            //# TCP implementations SHOULD inform the application of the delivery problem
            // The IP layer needs no advice: there is one way, and no gateway on it to give up.
            self.soft_error.get_or_insert(Error::TimedOut);
        }
        self.timed = None;
        self.timed_out = cx.now;
        self.rtt.back_off();
        self.arm_retransmission(cx);
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
    //# In particular, R2 for a SYN segment MUST be set large enough to provide retransmission of the
    //# segment for at least 3 minutes (MUST-23).
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
    //= id=MUST-20
    //# When the number of transmissions of the same segment reaches a threshold R2 greater than R1, close
    //# the connection.
    fn syn_limit(&self, cx: &Context<'_>) -> u8 {
        if self.is_open_early() { cx.config.syn_ack_retries } else { self.options.syn_retries }
    }

    /// RFC 9293 §3.8.6.1: the window is closed and there is something to send. Or it is open by too little,
    /// or corked, and the wait ends.
    fn persist_timeout(&mut self, cx: &mut Context<'_>) {
        if self.snd.wnd > 0 {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
            //= id=MUST-60
            //# MUST NOT buffer data indefinitely (MUST-60)
            self.is.insert(Is::OVERRIDE);
            self.ecn.timer_ran_out();
            self.push();
            return;
        }
        if cx.now.saturating_since(self.progress) >= self.give_up_after(cx.config) {
            cx.counters.tcp_abort_on_timeout += 1;
            let error = self.soft_error.unwrap_or(Error::TimedOut);
            self.fail(error, Event::TimedOut, cx);
            return;
        }
        self.window_probes = self.window_probes.saturating_add(1);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
        //# Probing of zero (offered) windows MUST be supported (MUST-36).
        self.probe = Some(Reason::WindowProbe);
        self.arm_retransmission(cx);
    }

    /// Arms what watches over outstanding and unsent data: the retransmission timer, or in its place the
    /// probing of a closed window.
    pub(super) fn arm_retransmission(&mut self, cx: &Context<'_>) {
        if self.state() == State::Closed {
            return;
        }
        let outstanding = self.snd.una != self.snd.nxt;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
        //# If the window shrinks to zero, the TCP implementation MUST probe it in the standard way
        //# (described below) (MUST-35).
        if self.snd.wnd == 0 && !self.syn_unacked() && (outstanding || self.has_unsent()) {
            for timer in [Timer::Rto, Timer::Tlp, Timer::Reordering] {
                self.timers.cancel(timer);
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
            //= id=SHLD-17
            //# SHOULD NOT time out the connection if data beyond the right window edge is not acknowledged
            //# (SHLD-17).
            if self.window_probes == 0 && !self.timers.is_armed(Timer::Persist) {
                self.progress = cx.now;
            }
            let wait = self.persist_interval(cx);
            self.timers.arm_if_idle(Timer::Persist, self.before_giving_up(cx.now + wait, cx));
        } else if outstanding {
            self.timers.cancel(Timer::Persist);
            //= https://www.rfc-editor.org/rfc/rfc6298#section-5
            //= id=rfc6298-5-1
            //= https://www.rfc-editor.org/rfc/rfc6298#section-1
            //= id=rfc6298-1-1
            if !self.timers.is_armed(Timer::Tlp) && !self.timers.is_armed(Timer::Reordering) {
                let due = self.before_giving_up(cx.now + self.rtt.rto(), cx);
                self.timers.arm_if_idle(Timer::Rto, due);
            }
        } else {
            for timer in [Timer::Rto, Timer::Tlp, Timer::Reordering] {
                self.timers.cancel(timer);
            }
            if !self.has_unsent() {
                self.timers.cancel(Timer::Persist);
            } else if self.state().is_synchronized() && self.paced_until().is_none() {
                // Unsent although nothing is in flight: a silly window or a cork.
                let wait = if self.ecn.holds() { self.rtt.rto() } else { OVERRIDE_TIMEOUT };
                self.timers.arm_if_idle(Timer::Persist, cx.now + wait);
            }
        }
    }

    /// A deadline, or the end of the user timeout where that is sooner.
    pub(super) fn before_giving_up(&self, deadline: Instant, cx: &Context<'_>) -> Instant {
        let limit = self.user_timeout(cx.config).map(|limit| self.progress + limit);
        limit.map_or(deadline, |l| l.min(deadline)).max(cx.now)
    }

    /// The first probe after one RTO, then at exponentially growing intervals (SHLD-29, SHLD-30).
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
    //# SHOULD send the first zero-window probe when a zero window has existed for the retransmission
    //# timeout period (SHLD-29)
    fn persist_interval(&self, cx: &Context<'_>) -> Duration {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
        //# SHOULD increase exponentially the interval between successive probes (SHLD-30)
        let factor = 1u32 << self.window_probes.min(16);
        self.rtt.rto().saturating_mul(factor).min(cx.config.max_rto)
    }

    /// RFC 9293 §3.8.4. One unanswered probe proves nothing (MUST-29 in spirit): only a row of them does.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //# Implementers MAY include "keep-alives" in their TCP implementations (MAY-5)
    fn keepalive_timeout(&mut self, cx: &mut Context<'_>) {
        if !self.options.keepalive || !self.state().is_synchronized() || self.state() == State::TimeWait {
            return;
        }
        let idle = cx.now.saturating_since(self.heard);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
        //# Keep-alive packets MUST only be sent when no sent data is outstanding, and no data or
        //# acknowledgment packets have been received for the connection within an interval (MUST-26).
        // Only an idle connection is probed; what is outstanding has timers of its own.
        if self.snd.una != self.snd.nxt || self.has_unsent() || idle < self.keepalive_time(cx.config) {
            let next = (self.heard + self.keepalive_time(cx.config)).max(cx.now + Duration::from_secs(1));
            self.timers.arm(Timer::KeepAlive, next);
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
        //# Consequently, if a keep-alive mechanism is implemented it MUST NOT interpret failure to respond
        //# to any specific probe as a dead connection (MUST-29).
        let exhausted = match self.options.user_timeout {
            Some(limit) => self.keepalives > 0 && idle >= limit,
            None => self.keepalives >= self.options.keepalive_probes.max(1),
        };
        if exhausted {
            cx.counters.tcp_abort_on_timeout += 1;
            self.reset(Error::TimedOut, Event::TimedOut, crate::tcp::trace::RstReason::TimedOut, cx);
            return;
        }
        self.keepalives = self.keepalives.saturating_add(1);
        self.probe = Some(Reason::KeepAlive);
        let interval = self.options.keepalive_interval.max(KEEPALIVE_MIN);
        self.timers.arm(Timer::KeepAlive, cx.now + interval);
    }

    /// Keep-alive was switched on or off, or its times changed.
    pub fn keepalive_changed(&mut self, cx: &Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
        //# the application MUST be able to turn them on or off for each TCP connection (MUST-24)
        if self.options.keepalive && self.state().is_synchronized() && self.state() != State::TimeWait {
            let due = (self.heard + self.keepalive_time(cx.config)).max(cx.now);
            self.timers.arm(Timer::KeepAlive, due);
        } else {
            self.timers.cancel(Timer::KeepAlive);
        }
    }
}

//! The timers of a connection: a table of deadlines, of which the stack watches the earliest.

use crate::time::Instant;

/// The timers a connection has. What watches over outstanding or unsent data excludes each other: `Rto`, `Tlp`,
/// `Reordering`, and `Persist`, which stands in for them while the peer's window is closed (RFC 8985 §8); in FIN-WAIT-2
/// there is none of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Timer {
    /// Retransmission (RFC 6298 §5).
    Rto,
    /// Zero-window probes (RFC 9293 §3.8.6.1), and the override that ends a silly window's or a cork's wait
    /// (§3.8.6.2.1).
    Persist,
    /// An acknowledgment that waits (RFC 9293 §3.8.6.3).
    DelayedAck,
    /// Keep-alive (RFC 9293 §3.8.4).
    KeepAlive,
    /// The end of an ownerless FIN-WAIT-2.
    FinWait2,
    /// Until what may only be late is deemed lost (RFC 8985 §6.2).
    Reordering,
    /// A tail loss probe (RFC 8985 §7).
    Tlp,
    /// The time of the next burst of a paced connection.
    Pacing,
}

impl Timer {
    const ALL: [Self; 8] = [
        Self::Rto,
        Self::Persist,
        Self::DelayedAck,
        Self::KeepAlive,
        Self::FinWait2,
        Self::Reordering,
        Self::Tlp,
        Self::Pacing,
    ];
}

/// The deadlines; [`Instant::FAR_FUTURE`] is "not armed". Those that exclude each other share one: to arm one of them
/// disarms the other.
#[derive(Clone, Copy, Debug)]
pub struct TimerTable {
    shared: Instant,
    /// Whose it is.
    holder: Timer,
    delayed_ack: Instant,
    keep_alive: Instant,
    pacing: Instant,
}

impl TimerTable {
    /// None armed.
    pub const fn new() -> Self {
        let never = Instant::FAR_FUTURE;
        Self { shared: never, holder: Timer::Rto, delayed_ack: never, keep_alive: never, pacing: never }
    }

    const fn slot(&mut self, timer: Timer) -> &mut Instant {
        match timer {
            Timer::DelayedAck => &mut self.delayed_ack,
            Timer::KeepAlive => &mut self.keep_alive,
            Timer::Pacing => &mut self.pacing,
            Timer::Rto | Timer::Persist | Timer::FinWait2 | Timer::Reordering | Timer::Tlp => {
                &mut self.shared
            }
        }
    }

    const fn value(&self, timer: Timer) -> Instant {
        match timer {
            Timer::DelayedAck => self.delayed_ack,
            Timer::KeepAlive => self.keep_alive,
            Timer::Pacing => self.pacing,
            Timer::Rto | Timer::Persist | Timer::FinWait2 | Timer::Reordering | Timer::Tlp => self.shared,
        }
    }

    /// Whether another one has the slot that `timer` would have.
    fn is_held_from(&self, timer: Timer) -> bool {
        let alone = matches!(timer, Timer::DelayedAck | Timer::KeepAlive | Timer::Pacing);
        !alone && self.holder != timer
    }

    /// Arms a timer, or moves its deadline.
    pub fn arm(&mut self, timer: Timer, deadline: Instant) {
        if self.is_held_from(timer) {
            self.holder = timer;
        }
        *self.slot(timer) = deadline;
    }

    /// Arms a timer unless it is armed.
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= id=rfc6298-5-2
    //# if the timer is not running, start it running so that it will expire after RTO seconds
    pub fn arm_if_idle(&mut self, timer: Timer, deadline: Instant) {
        if !self.is_armed(timer) {
            self.arm(timer, deadline);
        }
    }

    /// Disarms a timer.
    pub fn cancel(&mut self, timer: Timer) {
        if !self.is_held_from(timer) {
            *self.slot(timer) = Instant::FAR_FUTURE;
        }
    }

    /// Nothing is outstanding or unsent, nor to be acknowledged: what watches over that is disarmed. Not in FIN-WAIT-2.
    pub const fn rest(&mut self) {
        (self.shared, self.delayed_ack) = (Instant::FAR_FUTURE, Instant::FAR_FUTURE);
    }

    /// Disarms all.
    pub const fn cancel_all(&mut self) {
        *self = Self::new();
    }

    /// Whether a timer is armed.
    pub fn is_armed(&self, timer: Timer) -> bool {
        self.deadline(timer).is_some()
    }

    /// When a timer is due.
    pub fn deadline(&self, timer: Timer) -> Option<Instant> {
        let deadline = self.value(timer);
        (!self.is_held_from(timer) && deadline != Instant::FAR_FUTURE).then_some(deadline)
    }

    /// Whether one is armed that watches over outstanding or unsent data.
    pub fn watches_over_data(&self) -> bool {
        self.shared != Instant::FAR_FUTURE
    }

    /// When the first timer is due.
    pub fn earliest(&self) -> Option<Instant> {
        let first = self.shared.min(self.delayed_ack).min(self.keep_alive).min(self.pacing);
        (first != Instant::FAR_FUTURE).then_some(first)
    }

    /// Takes one timer that is due, disarming it. Those due come in the order of [`Timer`].
    pub fn expired(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|&t| self.deadline(t).is_some_and(|due| due <= now))?;
        self.cancel(timer);
        Some(timer)
    }
}

impl Default for TimerTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: [Timer; 3] = [Timer::DelayedAck, Timer::KeepAlive, Timer::Pacing];

    fn at(n: u64) -> Instant {
        Instant::from_secs(n)
    }

    #[test]
    fn those_that_run_at_once_have_slots_of_their_own() {
        for shared in Timer::ALL.into_iter().filter(|t| !ALONE.contains(t)) {
            let mut table = TimerTable::new();
            assert_eq!(table.earliest(), None);
            for (i, timer) in ALONE.into_iter().chain([shared]).enumerate() {
                table.arm(timer, at(10 - i as u64));
                assert_eq!(table.earliest(), Some(at(10 - i as u64)));
            }
            assert_eq!(table.expired(at(6)), None);
            let both = [table.expired(at(8)), table.expired(at(8)), table.expired(at(8))];
            assert!(both.contains(&Some(shared)) && both.contains(&Some(Timer::Pacing)) && both[2].is_none());
            assert_eq!(
                (table.expired(at(9)), table.deadline(Timer::DelayedAck)),
                (Some(Timer::KeepAlive), Some(at(10)))
            );
            table.cancel(Timer::DelayedAck);
            assert_eq!(table.earliest(), None);
        }
    }

    #[test]
    fn those_that_exclude_each_other_take_each_others_place() {
        let mut table = TimerTable::new();
        table.arm(Timer::Rto, at(5));
        table.cancel(Timer::Tlp);
        assert_eq!((table.deadline(Timer::Rto), table.deadline(Timer::Tlp)), (Some(at(5)), None));
        table.arm_if_idle(Timer::Rto, at(9));
        assert_eq!(table.deadline(Timer::Rto), Some(at(5)));
        table.arm_if_idle(Timer::Tlp, at(3));
        assert_eq!((table.deadline(Timer::Rto), table.deadline(Timer::Tlp)), (None, Some(at(3))));
        table.cancel(Timer::Rto);
        assert_eq!(
            (table.expired(at(2)), table.expired(at(3)), table.expired(at(9))),
            (None, Some(Timer::Tlp), None)
        );
        assert!(!table.is_armed(Timer::Tlp));
    }
}

//! The timers of a connection: a table of deadlines, of which the stack watches the earliest.

use crate::time::Instant;

/// The timers a connection has. Two of them exclude each other: while the peer's window is closed,
/// `Persist` stands in for `Rto`.
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
    /// Until what may only be late is deemed lost (RFC 8985 §6.2). It, `Tlp` and `Rto` exclude each other.
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

/// One deadline a timer; [`Instant::FAR_FUTURE`] is "not armed".
#[derive(Clone, Copy, Debug)]
pub struct TimerTable([Instant; Timer::ALL.len()]);

impl TimerTable {
    /// None armed.
    pub const fn new() -> Self {
        Self([Instant::FAR_FUTURE; Timer::ALL.len()])
    }

    const fn slot(&mut self, timer: Timer) -> &mut Instant {
        match timer {
            Timer::Rto => &mut self.0[0],
            Timer::Persist => &mut self.0[1],
            Timer::DelayedAck => &mut self.0[2],
            Timer::KeepAlive => &mut self.0[3],
            Timer::FinWait2 => &mut self.0[4],
            Timer::Reordering => &mut self.0[5],
            Timer::Tlp => &mut self.0[6],
            Timer::Pacing => &mut self.0[7],
        }
    }

    /// Arms a timer, or moves its deadline.
    pub const fn arm(&mut self, timer: Timer, deadline: Instant) {
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
    pub const fn cancel(&mut self, timer: Timer) {
        *self.slot(timer) = Instant::FAR_FUTURE;
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
        let mut table = *self;
        Some(*table.slot(timer)).filter(|&d| d != Instant::FAR_FUTURE)
    }

    /// When the first timer is due.
    pub fn earliest(&self) -> Option<Instant> {
        self.0.into_iter().min().filter(|&d| d != Instant::FAR_FUTURE)
    }

    /// Takes one timer that is due, disarming it. Those due come in the order of [`Timer`].
    pub fn expired(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|&t| *self.slot(t) <= now)?;
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

    #[test]
    fn each_timer_has_its_own_slot() {
        let mut table = TimerTable::new();
        assert_eq!(table.earliest(), None);
        for (i, timer) in Timer::ALL.into_iter().enumerate() {
            table.arm(timer, Instant::from_secs(10 - i as u64));
            assert_eq!(table.earliest(), Some(Instant::from_secs(10 - i as u64)));
        }
        assert_eq!(table.expired(Instant::from_secs(2)), None);
        assert_eq!(table.expired(Instant::from_secs(5)), Some(Timer::Reordering));
        assert_eq!(table.expired(Instant::from_secs(5)), Some(Timer::Tlp));
        assert_eq!(table.expired(Instant::from_secs(5)), Some(Timer::Pacing));
        assert_eq!(table.expired(Instant::from_secs(7)), Some(Timer::KeepAlive));
        assert_eq!(table.expired(Instant::from_secs(7)), Some(Timer::FinWait2));
        assert_eq!(table.expired(Instant::from_secs(7)), None);
        table.arm_if_idle(Timer::Rto, Instant::from_secs(99));
        assert_eq!(table.deadline(Timer::Rto), Some(Instant::from_secs(10)));
        table.cancel(Timer::Rto);
        assert!(!table.is_armed(Timer::Rto));
    }
}

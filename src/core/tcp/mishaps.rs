//! What goes wrong on a connection, counted for `TCP_INFO`; of many there is nothing to count.

use crate::time::{Duration, Instant};

/// The counts of one connection since it began. They stay at their largest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mishaps {
    /// Segments whose text came before that of an earlier one, and was kept.
    pub out_of_order: u32,
    /// Segments that the peer reported to have come twice (RFC 2883), one at least for each report.
    pub came_twice: u32,
    /// Retransmission time-outs, those of a SYN or SYN,ACK included.
    pub timeouts: u16,
    /// Repairs that began with a time-out, one that is under way included.
    pub repairs: u16,
    /// Milliseconds that finished repairs took.
    took: u32,
    /// Since when one is under way.
    since: Option<Instant>,
}

impl Mishaps {
    /// How long repairs took that began with a time-out, one that is under way included.
    pub fn repair_time(&self, now: Instant) -> Duration {
        let finished = Duration::from_millis(self.took.into());
        finished + self.since.map_or(Duration::ZERO, |since| now.saturating_since(since))
    }

    /// A SYN,ACK had been sent again so often, for the first time `ago`, before there was a record of the connection.
    pub(super) fn of_handshake(timeouts: u8, ago: Duration) -> Self {
        let took = u32::try_from(ago.as_millis()).unwrap_or(u32::MAX);
        Self { timeouts: timeouts.into(), repairs: 1, took, ..Self::default() }
    }

    pub(super) fn timed_out(&mut self, first: bool, now: Instant) {
        self.timeouts = self.timeouts.saturating_add(1);
        self.repairs = self.repairs.saturating_add(u16::from(first));
        self.since.get_or_insert(now);
    }

    pub(super) fn repaired(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            let millis = now.saturating_since(since).as_millis();
            self.took = self.took.saturating_add(u32::try_from(millis).unwrap_or(u32::MAX));
        }
    }
}

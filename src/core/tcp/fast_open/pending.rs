//! How many connections of a listener may be open before their handshake is done (RFC 7413 §4.2, §5.1).

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::secret::Secrets;
use crate::time::{Duration, Instant};

/// How long one that was reset counts on (RFC 7413 §5.1), as in Linux.
const RESET_COUNTS: Duration = Duration::from_secs(60);

/// A listener's count, PendingFastOpenRequests, and its own secrets.
#[derive(Debug, Default)]
pub struct Pending {
    open: u32,
    /// When those that were reset cease to count, the first one first.
    reset: VecDeque<Instant>,
    /// Given by the program; else those of the stack hold.
    pub secrets: Option<Box<Secrets>>,
}

impl Pending {
    /// Whether one more may be taken where `limit` may be pending; none where that is 0.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2
    //= id=rfc7413-4.2-3
    //# If this variable goes over a preset system limit, the server MUST disable TFO for all new connection
    //# requests until PendingFastOpenRequests drops below the system limit.
    pub fn admits(&mut self, limit: u32, now: Instant) -> bool {
        while self.reset.front().is_some_and(|due| *due <= now) {
            self.reset.pop_front();
        }
        u64::from(self.open) + (self.reset.len() as u64) < u64::from(limit)
    }

    /// One was taken.
    pub const fn began(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    /// One is done with its handshake, or over; `was_reset` by the peer.
    pub fn ended(&mut self, was_reset: bool, now: Instant) {
        self.open = self.open.saturating_sub(1);
        if was_reset {
            self.reset.push_back(now + RESET_COUNTS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2
    //= type=test
    //= id=rfc7413-4.2-3
    #[test]
    fn no_more_than_the_limit_are_pending() {
        let (mut pending, now) = (Pending::default(), Instant::from_secs(1));
        assert!(!pending.admits(0, now), "off");
        for _ in 0..2 {
            assert!(pending.admits(2, now));
            pending.began();
        }
        assert!(!pending.admits(2, now));
        pending.ended(false, now);
        assert!(pending.admits(2, now));
    }

    /// RFC 7413 §5.1: a flood whose spoofed hosts send resets is not fed by them.
    #[test]
    fn one_that_was_reset_counts_for_a_minute() {
        let (mut pending, now) = (Pending::default(), Instant::from_secs(1));
        pending.began();
        pending.ended(true, now);
        assert!(!pending.admits(1, now + RESET_COUNTS - Duration::from_millis(1)));
        assert!(pending.admits(1, now + RESET_COUNTS));
        assert!(pending.reset.is_empty());
    }
}

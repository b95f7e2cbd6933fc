//! When events are due, and whether what happens comes then.
//!
//! Times are the script's, which begin at 0 with its first event. A relative time counts from the end of the event before,
//! except between inbound packets: a row of them keeps the distances that the script gives it.

use std::time::Duration;

use crate::packetdrill::net::Net;
use crate::packetdrill::script::{Action, Direction, Event, EventTime};

/// When an event is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Due {
    /// The first moment; for `*` that from which it may come.
    pub(super) start: Duration,
    /// The last, where it is a range; otherwise the first.
    pub(super) end: Duration,
    /// `*`.
    pub(super) any: bool,
    /// What a relative time counted from; 0 for an absolute one.
    pub(super) base: Duration,
    /// The time that its tolerance is measured from: that of the event before.
    pub(super) since: Option<Duration>,
}

impl Due {
    /// The time since the event before.
    pub(super) fn gap(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| self.start.saturating_sub(since))
    }

    /// Whether `happened` is within the tolerance.
    ///
    /// # Errors
    /// Expected and actual time, in words.
    pub(super) fn check(&self, happened: Duration, net: &Net) -> Result<(), (String, String)> {
        let tolerance = net.tolerance_after(self.gap());
        let early = happened.saturating_add(tolerance) < self.start;
        let late = happened > self.end.saturating_add(tolerance);
        if self.any || !early && !late {
            return Ok(());
        }
        let range = if self.end > self.start { format!("~{}", seconds(self.end)) } else { String::new() };
        let expected = format!("{}{range} s, give or take {} s", seconds(self.start), seconds(tolerance));
        Err((expected, format!("{} s", seconds(happened))))
    }
}

/// The event before, as far as the next one's time depends on it.
#[derive(Clone, Copy, Debug)]
struct Before {
    start: Duration,
    absolute: bool,
    inbound: bool,
}

/// Gives each event its time.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    before: Option<Before>,
}

impl Schedule {
    /// When `event`, the next one, is due; it is `now`.
    ///
    /// # Errors
    /// The first event is not at 0; time goes backwards.
    pub(super) fn due(&mut self, event: &Event, now: Duration) -> Result<Due, String> {
        let inbound = is_inbound(event);
        let base = match self.before {
            Some(before) if before.inbound && inbound => before.start,
            _ => now,
        };
        let (base, start, end, absolute) = match event.time {
            EventTime::Any => (base, Duration::ZERO, Duration::ZERO, false),
            EventTime::Relative(time) => (base, time, time, false),
            EventTime::RelativeRange(from, to) => (base, from, to, false),
            EventTime::Absolute(time) => (Duration::ZERO, time, time, true),
            EventTime::AbsoluteRange(from, to) => (Duration::ZERO, from, to, true),
        };
        let due = Due {
            start: base.saturating_add(start),
            end: base.saturating_add(end),
            any: event.time == EventTime::Any,
            base,
            since: self.before.map(|before| before.start),
        };
        match self.before {
            None if !start.is_zero() => {
                return Err(format!("the first event is at {} s, but scripts start at 0", seconds(start)));
            }
            Some(before) if absolute && before.absolute && due.start < before.start => {
                let (from, to) = (seconds(before.start), seconds(due.start));
                return Err(format!("time goes backwards, from {from} s to {to} s"));
            }
            _ => {}
        }
        self.before = Some(Before { start: due.start, absolute, inbound });
        Ok(due)
    }
}

fn is_inbound(event: &Event) -> bool {
    matches!(&event.action, Action::Packet(packet) if packet.direction == Direction::Inbound)
}

/// Seconds as scripts write them, to the microsecond.
pub(super) fn seconds(time: Duration) -> String {
    let text = format!("{}.{:06}", time.as_secs(), time.subsec_micros());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;

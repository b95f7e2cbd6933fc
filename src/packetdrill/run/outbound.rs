//! Packets that the script expects of the stack.

use std::time::Duration;

use super::Failure;
use super::came::Came;
use super::events::Run;
use super::stop::Stop;
use super::time::{Due, seconds};
use crate::packetdrill::packet::{self, Join, Joined, Mismatch, Seen};
use crate::packetdrill::script::{Direction, Event, Packet};

/// How long beyond its time a packet is waited for, so that one that is late can be shown.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one is waited for that may come at any time.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

impl Run<'_> {
    /// Waits for the packet and compares it.
    pub(super) fn outbound(&mut self, event: &Event, packet: &Packet, due: Due) -> Result<(), Stop> {
        match self.expected(event, packet, due) {
            Err(Stop::Failed(failure)) if self.net.non_fatal.packet => {
                self.note(format!("--non_fatal=packet: {failure}"));
                Ok(())
            }
            result => result,
        }
    }

    fn expected(&mut self, event: &Event, packet: &Packet, due: Due) -> Result<(), Stop> {
        let patience = if due.any {
            ENDLESS
        } else {
            let latest = due.end.max(due.start).saturating_sub(due.since.unwrap_or_default());
            Duration::from_secs(latest.as_secs()) + PATIENCE
        };
        let limit = self.now().saturating_add(patience);
        let mut join = Join::new(packet, self.net.strict_segments);
        let (whole, when, why) = loop {
            let Some(Came { when, seen, why }) = self.next(limit)? else {
                return Err(self.nothing_came(event, &join, patience).into());
            };
            let seen = match seen {
                Ok(seen) => seen,
                Err(what) => {
                    let mut failure = self.unexpected(event, "the stack sent what is no valid packet");
                    failure.actual = Some(what);
                    failure.reason = why;
                    return Err(failure.into());
                }
            };
            let ours = match self.flows.for_outbound(packet, &seen) {
                Ok(flow) => flow.is_some(),
                Err(what) => return Err(self.unexpected(event, what).into()),
            };
            if ours {
                match join.push(seen.clone()) {
                    Ok(Joined::More) => {}
                    Ok(Joined::Whole(whole)) => break (*whole, when, why),
                    Err(differences) => {
                        let what = "the stack sent something else than the rest of the packet";
                        return Err(self.differs(event, what, &seen, why, differences).into());
                    }
                }
            } else if packet.names_ports()
                && self.flows.of(&seen).is_some_and(|f| f.direction_of(&seen) == Some(Direction::Outbound))
            {
                let what = "a packet of another connection came first";
                return Err(self.differs(event, what, &seen, why, Vec::new()).into());
            }
        };
        self.compare(event, packet, due, &whole, when, why)
    }

    fn compare(
        &mut self,
        event: &Event,
        packet: &Packet,
        due: Due,
        whole: &Seen,
        when: Duration,
        why: Option<String>,
    ) -> Result<(), Stop> {
        let slack = self.net.ts_slack(when);
        let flow = self.flows.for_outbound(packet, whole);
        let Ok(Some(flow)) = flow else {
            return Err(self.unexpected(event, "the packet has lost its connection").into());
        };
        let differences = packet::compare(packet, whole, flow, slack);
        flow.learn(packet, whole);
        if !differences.is_empty() {
            let fields: Vec<&str> = differences.iter().map(|mismatch| mismatch.field).collect();
            let what = format!("the packet is not as expected: {}", fields.join(", "));
            return Err(self.differs(event, &what, whole, why, differences).into());
        }
        due.check(when, &self.net).map_err(|(expected, actual)| {
            let mut failure =
                self.differs(event, "the packet came at the wrong time", whole, why, Vec::new());
            failure.differences.push(("time".to_owned(), expected, actual));
            failure.into()
        })
    }

    /// The next packet that the stack sends, no later than `limit`.
    fn next(&mut self, limit: Duration) -> Result<Option<Came>, Stop> {
        loop {
            if let Some(came) = self.came.pop_front() {
                return Ok(Some(came));
            }
            if self.now() >= limit || !self.advance(limit)? {
                return Ok(self.came.pop_front());
            }
        }
    }

    fn unexpected(&self, event: &Event, what: impl Into<String>) -> Failure {
        Failure { expected: Some(self.source(event)), ..Failure::new(event.span, what) }
    }

    fn nothing_came(&self, event: &Event, join: &Join, patience: Duration) -> Failure {
        let what = match join.so_far() {
            None => format!("no packet came in {} s", seconds(patience)),
            Some(part) => {
                format!("after {} octets of it no packet came in {} s", part.data_len(), seconds(patience))
            }
        };
        let mut failure = self.unexpected(event, what);
        failure.actual = match (join.so_far(), &self.received) {
            (Some(part), _) => Some(packet::print(part, self.flows.of(part))),
            (None, Some(received)) => Some(format!("nothing; the last packet in: {received}")),
            (None, None) => None,
        };
        failure
    }

    fn differs(
        &self,
        event: &Event,
        what: &str,
        seen: &Seen,
        why: Option<String>,
        differences: Vec<Mismatch>,
    ) -> Failure {
        let mut failure = self.unexpected(event, what);
        failure.actual = Some(packet::print(seen, self.flows.of(seen)));
        failure.reason = why;
        let rows = differences.into_iter().map(|m| (m.field.to_owned(), m.expected, m.actual));
        failure.differences.extend(rows);
        failure
    }
}

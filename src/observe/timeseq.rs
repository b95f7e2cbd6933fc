//! The segments and acknowledgments of one connection over time, as tcptrace draws them.

use tunstack_core::tcp::trace::Reason;
use tunstack_core::time::Instant;

/// A segment with data that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// When.
    pub at: Instant,
    /// Its first octet, counted from the SYN.
    pub from: u64,
    /// The octet after its last.
    pub to: u64,
    /// Why.
    pub reason: Reason,
    /// Whether its data had been sent before.
    pub again: bool,
    /// Whether it got lost on the way.
    pub lost: bool,
}

/// An acknowledgment that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// When.
    pub at: Instant,
    /// SND.UNA after it.
    pub una: u64,
    /// The right edge of the peer's window after it.
    pub window: u64,
}

/// A block of octets that the peer has beyond a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sacked {
    /// When the acknowledgment came that says so.
    pub at: Instant,
    /// Its first octet.
    pub from: u64,
    /// The octet after its last.
    pub to: u64,
    /// Whether it lies below SND.UNA: the peer had it twice (D-SACK, RFC 2883).
    pub duplicate: bool,
}

/// What happened to the sequence space of one connection.
#[derive(Clone, Debug, Default)]
pub struct TimeSequence {
    /// In the order they left.
    pub segments: Vec<Segment>,
    /// In the order they came.
    pub acks: Vec<Ack>,
    /// In the order they came.
    pub sacked: Vec<Sacked>,
}

/// A part of a [`TimeSequence`]: times, and the octets that matter in them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// From.
    pub start: Instant,
    /// To.
    pub end: Instant,
}

impl TimeSequence {
    pub(super) fn sent(
        &mut self,
        at: Instant,
        from: u64,
        text: u32,
        reason: Reason,
        again: bool,
        lost: bool,
    ) {
        self.segments.push(Segment { at, from, to: from + u64::from(text), reason, again, lost });
    }

    pub(super) fn acked(&mut self, at: Instant, una: u64, window: u64, blocks: &[(u64, u64)]) {
        self.acks.push(Ack { at, una, window: una + window });
        let block = |&(from, to): &(u64, u64)| Sacked { at, from, to, duplicate: to <= una };
        self.sacked.extend(blocks.iter().map(block));
    }

    /// When the first segment was sent again.
    pub fn first_retransmission(&self) -> Option<Instant> {
        self.segments.iter().find(|segment| segment.again).map(|segment| segment.at)
    }

    /// The segments in a window, those joined that lie side by side and leave within `grain` nanoseconds of each other
    /// for the same reason.
    pub fn joined(&self, window: Window, grain: u64) -> Vec<Segment> {
        let mut joined: Vec<Segment> = Vec::new();
        for segment in self.segments.iter().filter(|s| s.at >= window.start && s.at <= window.end) {
            match joined.last_mut() {
                Some(last)
                    if last.to == segment.from
                        && (last.reason, last.again, last.lost)
                            == (segment.reason, segment.again, segment.lost)
                        && segment.at.as_nanos() - last.at.as_nanos() <= grain =>
                {
                    last.to = segment.to;
                }
                _ => joined.push(*segment),
            }
        }
        joined
    }

    /// The blocks in a window, each told once within `grain` nanoseconds.
    pub fn joined_sacks(&self, window: Window, grain: u64) -> Vec<Sacked> {
        let mut joined: Vec<Sacked> = Vec::new();
        for block in self.sacked.iter().filter(|s| s.at >= window.start && s.at <= window.end) {
            let near = joined.iter_mut().rev().take(8).find(|last| {
                block.at.as_nanos() - last.at.as_nanos() <= grain
                    && last.duplicate == block.duplicate
                    && last.from <= block.to
                    && block.from <= last.to
            });
            match near {
                Some(last) => (last.from, last.to) = (last.from.min(block.from), last.to.max(block.to)),
                None => joined.push(*block),
            }
        }
        joined
    }

    /// The lowest and the highest octet that happens in a window.
    pub fn range(&self, window: Window) -> Option<(u64, u64)> {
        let inside = |at: Instant| at >= window.start && at <= window.end;
        let segments = self.segments.iter().filter(|s| inside(s.at));
        let acks = self.acks.iter().filter(|a| inside(a.at)).map(|a| a.una);
        let low = segments.clone().map(|s| s.from).chain(acks).min()?;
        Some((low, segments.map(|s| s.to).max().unwrap_or(low)))
    }
}

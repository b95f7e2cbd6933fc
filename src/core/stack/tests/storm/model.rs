//! What is in flight, octet by octet.

use alloc::vec::Vec;

use crate::seq::{Seq, SeqRange};
use crate::tcp::recovery::scoreboard::{Mark, Scoreboard};
use crate::time::Instant;

const SACKED: u8 = 1 << 0;
const LOST: u8 = 1 << 1;
const RESENT: u8 = 1 << 2;
const TWICE: u8 = 1 << 3;
const REPORTED: u8 = 1 << 4;
/// A segment begins here.
const START: u8 = 1 << 5;
/// The peer has had it out of order at some time: runs of such are joined, and which of them was sent twice is forgotten.
const EVER: u8 = 1 << 6;

#[derive(Clone, Copy, Debug)]
struct Octet {
    bits: u8,
    sent: Instant,
    /// When it was sent the time before.
    before: Instant,
}

impl Octet {
    const fn is(self, bits: u8) -> bool {
        self.bits & bits != 0
    }
}

/// From SND.UNA to SND.NXT.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) una: Seq,
    octets: Vec<Octet>,
    /// When the youngest of all that has arrived was sent.
    newest: Instant,
}

impl Model {
    pub(super) const fn new(una: Seq) -> Self {
        Self { una, octets: Vec::new(), newest: Instant::ZERO }
    }

    pub(super) fn nxt(&self) -> Seq {
        self.una.add(self.len())
    }

    pub(super) fn len(&self) -> u32 {
        self.octets.len() as u32
    }

    /// Where the segments begin.
    pub(super) fn starts(&self) -> impl Iterator<Item = u32> + '_ {
        self.octets.iter().enumerate().filter(|(n, o)| *n == 0 || o.is(START)).map(|(n, _)| n as u32)
    }

    fn index(&self, seq: Seq) -> usize {
        assert!(seq.at_or_after(self.una), "{seq} was acknowledged, and is sent again");
        seq.since(self.una) as usize
    }

    /// A segment has left, for the first time or again.
    pub(super) fn sent(&mut self, range: SeqRange, now: Instant) {
        let (start, end) = (self.index(range.start), self.index(range.end));
        let old = end.min(self.octets.len());
        assert!(start <= self.octets.len(), "a gap");
        if start < old {
            self.octets[start].bits |= START;
            if let Some(next) = self.octets.get_mut(old) {
                next.bits |= START;
            }
            for octet in self.octets[start..old].iter_mut().filter(|o| !o.is(SACKED)) {
                octet.bits = octet.bits & !REPORTED | TWICE | RESENT;
                (octet.before, octet.sent) = (octet.sent, now);
            }
        }
        let first = start.max(old);
        self.octets.extend((first..end).map(|n| Octet {
            bits: if n == first { START } else { 0 },
            sent: now,
            before: now,
        }));
    }

    /// A time-out: the peer may have thrown away what it reported.
    pub(super) fn timed_out(&mut self) {
        for octet in self.octets.iter_mut().filter(|o| o.is(SACKED)) {
            octet.bits = octet.bits & !SACKED | REPORTED;
        }
    }

    /// The peer reports to have this.
    pub(super) fn sack(&mut self, block: SeqRange) {
        let (start, end) = (self.index(block.start), self.index(block.end));
        let mut starts: Vec<usize> = self.starts().map(|n| n as usize).collect();
        starts.push(self.octets.len());
        for whole in starts.windows(2).filter(|w| start <= w[0] && w[1] <= end) {
            for octet in &mut self.octets[whole[0]..whole[1]] {
                self.newest = self.newest.max(octet.sent);
                octet.bits = octet.bits & !(LOST | RESENT | REPORTED) | SACKED | EVER;
            }
        }
    }

    pub(super) fn acknowledge(&mut self, ack: Seq) {
        let n = self.index(ack);
        for octet in self.octets.drain(..n) {
            self.newest = self.newest.max(octet.sent);
        }
        self.una = ack;
    }

    /// Panics where the scoreboard says something else. `by_order`: what was deemed lost since was deemed so because
    /// something that was sent no earlier has arrived.
    pub(super) fn compare(&mut self, board: &Scoreboard, by_order: bool) {
        let (una, newest) = (self.una, self.newest);
        assert!(board.iter().count() <= self.starts().count(), "more records than segments");
        let mut rest = self.octets.iter_mut();
        for record in board.iter() {
            let marks = record.marks;
            for octet in rest.by_ref().take(record.end.since(record.start) as usize) {
                let same = |mark: Mark, bit| marks.contains(mark) == octet.is(bit);
                assert!(same(Mark::SACKED, SACKED) && same(Mark::REPORTED, REPORTED), "{record:?} {octet:?}");
                assert!(same(Mark::TWICE, TWICE) || octet.is(EVER), "{record:?} {octet:?}");
                let (lost, resent) = (marks.contains(Mark::LOST), marks.contains(Mark::RESENT));
                assert!(!resent || octet.is(RESENT), "{record:?} was not sent again: {octet:?}");
                let again = octet.is(RESENT) && !resent;
                assert!(!again || lost, "{record:?} was sent again: {octet:?}");
                if lost && (again || !octet.is(LOST)) && by_order {
                    // It may have left again at once.
                    let sent = if resent { octet.before } else { octet.sent };
                    assert!(sent <= newest, "{record:?} is deemed lost by nothing, SND.UNA is {una}");
                }
                octet.bits &= !(LOST | RESENT);
                octet.bits |= if lost { LOST } else { 0 } | if resent { RESENT } else { 0 };
            }
        }
        assert!(rest.next().is_none(), "the scoreboard lacks something");
    }
}

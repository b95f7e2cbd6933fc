//! What is in flight, piece by piece: when it was sent, how often, and what became of it (RFC 6675 §3 and §4, RFC 8985
//! §5.2).
//!
//! One record stands for a run of segments that left at the same moment, and is split where their fates part. As the
//! receiver holds whole segments, only whole segments count as selectively acknowledged.

use alloc::collections::VecDeque;
use core::mem;

use crate::congestion::delivery_rate::Stamp;
use crate::seq::{Seq, SeqRange};
use crate::tcp::buffer::SeqRanges;
use crate::time::{Duration, Instant};

bitflags::bitflags! {
    /// The fate of what is in flight.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Mark: u8 {
        /// The peer has it, out of order.
        const SACKED = 1 << 0;
        /// It is deemed lost.
        const LOST = 1 << 1;
        /// It is in flight again since it was deemed lost, or as a probe.
        const RESENT = 1 << 2;
        /// It was sent more than once.
        const TWICE = 1 << 3;
        /// The peer had it before a time-out, and may have thrown it away since.
        const REPORTED = 1 << 4;
        /// With its last segment a burst ended.
        const BURST = 1 << 5;
        /// And so did what the program wrote, which is pushed.
        const PUSHED = 1 << 6;
        /// What took it was no congestion.
        const EXCUSED = 1 << 7;
    }
}

/// A run of segments that share their fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its first sequence number.
    pub start: Seq,
    /// The number after its last.
    pub end: Seq,
    /// Of when it was last sent.
    pub stamp: Stamp,
    /// The text of a full segment of it, octets.
    mss: u16,
    /// The text of its first segment, or of what is left of that.
    first: u16,
    /// What became of it.
    pub marks: Mark,
}

impl Record {
    fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// When it was last sent.
    pub const fn sent(&self) -> Instant {
        self.stamp.sent()
    }

    pub(in crate::tcp) fn range(&self) -> SeqRange {
        SeqRange::new(self.start, self.end)
    }

    /// What of it lies before `seq`.
    pub(in crate::tcp) fn up_to(&self, seq: Seq) -> Self {
        Self { end: self.end.min(seq), ..*self }
    }

    /// How far behind the last boundary of its segments `seq` lies, which lies within it.
    fn behind_boundary(&self, seq: Seq) -> u32 {
        let into = seq.since(self.start);
        match into.checked_sub(self.first.into()) {
            None => into,
            Some(further) => further % u32::from(self.mss),
        }
    }

    /// What is left of it from `seq` on, which lies within it.
    fn tail(&self, seq: Seq) -> Self {
        let into = seq.since(self.start);
        let first = match u32::from(self.first).checked_sub(into) {
            None | Some(0) => u32::from(self.mss) - self.behind_boundary(seq),
            Some(left) => left,
        };
        Self { start: seq, first: first as u16, ..*self }
    }

    /// Its last segment is a full one, so that the next boundary is where it ends.
    fn ends_full(&self) -> bool {
        self.len().checked_sub(self.first.into()).is_some_and(|further| further % u32::from(self.mss) == 0)
    }

    /// Its first segment is a full one, or its only one.
    fn begins_full(&self) -> bool {
        self.first == self.mss || (self.first < self.mss && self.len() <= self.first.into())
    }

    /// Where the last of its segments begins.
    pub fn last_segment_start(&self) -> Seq {
        match self.len().checked_sub(self.first.into()) {
            None | Some(0) => self.start,
            Some(further) => self.end.sub((further - 1) % u32::from(self.mss) + 1),
        }
    }

    /// How many segments it is.
    pub fn segments(&self) -> u32 {
        1 + self.len().saturating_sub(self.first.into()).div_ceil(self.mss.into())
    }
}

/// The most octets of a record.
const MOST: u32 = 64 << 10;

/// Everything between SND.UNA and SND.NXT, and three sums over it.
#[derive(Clone, Debug)]
pub struct Scoreboard {
    records: VecDeque<Record>,
    /// Octets with [`Mark::SACKED`].
    sacked: u32,
    /// Octets with [`Mark::LOST`].
    lost: u32,
    /// Octets with [`Mark::RESENT`].
    resent: u32,
    /// The end of the highest that was ever selectively acknowledged; means nothing while nothing is.
    highest: Seq,
    /// Nothing before this is to be sent again.
    hint: Seq,
    /// The end of the highest that was ever sent again; at or before the oldest where none of what is in flight was.
    again: Seq,
}

impl Scoreboard {
    /// Nothing in flight.
    pub const fn new(iss: Seq) -> Self {
        Self { records: VecDeque::new(), sacked: 0, lost: 0, resent: 0, highest: iss, hint: iss, again: iss }
    }

    /// Octets that the peer has out of order.
    pub const fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Octets deemed lost, sent again since or not.
    pub const fn lost(&self) -> u32 {
        self.lost
    }

    /// Octets of these that congestion may have taken.
    pub fn blamed(&self) -> u32 {
        let blamed = |r: &&Record| r.marks.intersection(Mark::LOST | Mark::EXCUSED) == Mark::LOST;
        self.records.iter().filter(blamed).map(Record::len).sum()
    }

    /// Octets in flight for another time.
    pub const fn resent(&self) -> u32 {
        self.resent
    }

    /// The end of the highest run that the peer has out of order.
    pub fn highest_sacked(&self) -> Option<Seq> {
        (self.sacked > 0).then_some(self.highest)
    }

    /// Octets thought to be in the network, of `outstanding`.
    //= https://www.rfc-editor.org/rfc/rfc9937#section-6.2
    //# SACK-enabled connections using RACK-TLP loss detection [RFC8985] or other loss detection algorithms
    //# MUST calculate inflight by starting with SND.NXT - SND.UNA, subtracting out bytes SACKed in the
    //# scoreboard, subtracting out bytes marked lost in the scoreboard, and adding bytes in the scoreboard
    //# that have been retransmitted since they were last marked lost.
    pub const fn pipe(&self, outstanding: u32) -> u32 {
        (outstanding + self.resent).saturating_sub(self.sacked + self.lost)
    }

    /// How many segments have a mark.
    pub fn segments(&self, mark: Mark) -> u32 {
        self.records.iter().filter(|r| r.marks.contains(mark)).map(Record::segments).sum()
    }

    /// What is in flight for another time.
    pub fn resent_ranges(&self) -> SeqRanges {
        let mut resent = SeqRanges::new();
        if self.resent > 0 {
            for record in self.records.iter().filter(|r| r.marks.contains(Mark::RESENT)) {
                resent.insert(record.range());
            }
        }
        resent
    }

    /// The oldest is one that the peer had reported to have: it has thrown away what it told us of (RFC 2018 §8).
    pub fn is_reneged(&self) -> bool {
        self.records.front().is_some_and(|r| r.marks.contains(Mark::SACKED))
    }

    /// The oldest.
    pub fn front(&self) -> Option<&Record> {
        self.records.front()
    }

    /// The oldest, where none of what is in flight was sent again: the others left no earlier then.
    pub fn first_to_leave(&self) -> Option<&Record> {
        self.front().filter(|oldest| self.again.at_or_before(oldest.start))
    }

    /// The newest.
    pub fn back(&self) -> Option<&Record> {
        self.records.back()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> + '_ {
        self.records.iter()
    }

    /// New text has left: one segment of up to `mss` octets and maybe a FIN, or several that are all full.
    pub fn on_send(&mut self, range: SeqRange, mss: u32, stamp: Stamp) {
        let mss = u16::try_from(mss).unwrap_or(u16::MAX).max(1);
        let several = range.len() > mss.into() && range.len().is_multiple_of(mss.into());
        if let Some(last) = self.records.back_mut() {
            let whole = last.ends_full()
                && (several || range.len() <= mss.into())
                && last.len() + range.len() <= MOST;
            if last.end == range.start
                && last.marks.is_empty()
                && last.sent() == stamp.sent()
                && last.mss == mss
                && whole
            {
                last.end = range.end;
                last.stamp = stamp;
                return;
            }
        } else {
            (self.hint, self.again) = (range.start, range.start);
        }
        // A FIN belongs to the text before it.
        let first = if several { mss } else { u16::try_from(range.len()).unwrap_or(u16::MAX).max(mss) };
        let record = Record { start: range.start, end: range.end, stamp, mss, first, marks: Mark::empty() };
        self.records.push_back(record);
    }

    /// Octets of full segments of `mss` octets that the newest record takes without another one being made, if they leave
    /// now from `seq` on.
    pub fn room_in_last(&self, seq: Seq, mss: u32, now: Instant) -> u32 {
        let fits = |last: &&Record| {
            last.end == seq
                && last.marks.is_empty()
                && last.sent() == now
                && u32::from(last.mss) == mss
                && last.ends_full()
        };
        self.records.back().filter(fits).map_or(0, |last| MOST.saturating_sub(last.len()))
    }

    /// A full segment of `len` octets has left for which the newest record has [room](Self::room_in_last).
    #[inline]
    pub fn extend_last(&mut self, len: u32) {
        if let Some(last) = self.records.back_mut() {
            last.end = last.end.add(len);
            last.stamp.follow(len);
        }
    }

    /// How long the oldest of what `ack` acknowledges took, if none of that was sent again (Karn) nor had been told of before.
    pub fn round_trip(&self, ack: Seq, now: Instant) -> Option<Duration> {
        let acknowledged = || self.records.iter().take_while(|r| r.start.before(ack));
        let doubtful =
            acknowledged().any(|r| r.marks.intersects(Mark::TWICE | Mark::SACKED | Mark::REPORTED));
        let oldest = self.records.front().filter(|r| !doubtful && r.start.before(ack))?;
        Some(now.saturating_since(oldest.sent()))
    }

    /// What is left behind `seq` of what left at once and shares its fate.
    pub fn run_from(&self, seq: Seq) -> Option<SeqRange> {
        let at = self.records.partition_point(|r| r.end.at_or_before(seq));
        let record = self.records.get(at).filter(|r| r.start.at_or_before(seq))?;
        Some(SeqRange::new(seq, record.end))
    }

    /// With the newest a burst ends, and maybe what the program wrote: what leaves next is a run of its own.
    pub fn end_burst(&mut self, ends_text: bool) {
        if let Some(last) = self.records.back_mut() {
            last.marks.insert(Mark::BURST);
            last.marks.set(Mark::PUSHED, ends_text);
        }
    }

    /// Whether what a program wrote ended behind `seq` and no later than at `end`.
    pub fn pushed_within(&self, seq: Seq, end: Seq) -> bool {
        let first = self.records.partition_point(|r| r.end.at_or_before(seq));
        let within = self.records.range(first..).take_while(|r| r.end.at_or_before(end));
        within.map(|r| r.marks).any(|marks| marks.contains(Mark::PUSHED))
    }

    /// A range that had been sent before has left again.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.1
    //= id=rfc8985-6.1-s1
    //= https://www.rfc-editor.org/rfc/rfc8985#section-4
    //= id=rfc8985-4-2
    pub fn on_resend(&mut self, range: SeqRange, stamp: Stamp) {
        let first = self.split(range.start);
        let last = self.split(range.end);
        self.again = self.again.max(range.end);
        for record in self.records.range_mut(first..last) {
            if record.marks.contains(Mark::SACKED) {
                continue;
            }
            if !record.marks.contains(Mark::RESENT) {
                self.resent += record.end.since(record.start);
            }
            // What the peer once had is in flight anew, and its ACK is news again.
            record.marks.remove(Mark::REPORTED);
            record.marks.insert(Mark::RESENT | Mark::TWICE);
            record.stamp = stamp;
        }
    }

    /// SND.UNA has moved: what is before it goes, each piece shown to `seen`.
    //= https://www.rfc-editor.org/rfc/rfc6675#section-5
    //= id=rfc6675-5-7
    pub fn acknowledge(&mut self, una: Seq, mut seen: impl FnMut(&Record)) {
        while let Some(oldest) = self.records.front_mut().filter(|oldest| oldest.start.before(una)) {
            let left = oldest.end.after(una).then(|| oldest.tail(una));
            oldest.end = oldest.end.min(una);
            seen(oldest);
            let (marks, len) = (oldest.marks, oldest.len());
            match left {
                Some(left) => *oldest = left,
                None => _ = self.records.pop_front(),
            }
            self.uncount(marks, len);
        }
        self.hint = self.hint.max(una);
        self.highest = self.highest.max(una);
        self.again = self.again.max(una);
    }

    /// Whether all that `una` acknowledges was sent once, and was told of by nothing yet.
    pub fn is_plain_to(&self, una: Seq) -> bool {
        let plain = Mark::BURST | Mark::PUSHED;
        self.records.iter().take_while(|r| r.start.before(una)).all(|r| plain.contains(r.marks))
    }

    /// Takes out the memory of its list where there is nothing in flight: an idle connection holds none.
    pub(super) fn take_list(&mut self) -> Option<VecDeque<Record>> {
        (self.records.is_empty() && self.records.capacity() > 0).then(|| mem::take(&mut self.records))
    }

    /// Has it keep its records in that memory, unless it has some.
    pub(super) fn use_list(&mut self, list: impl FnOnce() -> VecDeque<Record>) {
        if self.records.capacity() == 0 {
            self.records = list();
        }
    }

    /// The peer has `block` out of order: each piece that is new is shown to `seen` as it was.
    //= https://www.rfc-editor.org/rfc/rfc6675#section-5
    //# Upon the receipt of any ACK containing SACK information, the scoreboard MUST be updated via the
    //# Update () routine.
    pub fn sack(&mut self, block: SeqRange, mut seen: impl FnMut(&Record)) {
        let mut at = self.records.partition_point(|r| r.end.at_or_before(block.start));
        while let Some(&record) = self.records.get(at) {
            if record.start.at_or_after(block.end) {
                break;
            }
            if record.marks.contains(Mark::SACKED) {
                at += 1;
                continue;
            }
            let Some(whole) = whole_segments(&record, block) else {
                at += 1;
                continue;
            };
            at = self.split(whole.start);
            self.split(whole.end);
            let Some(piece) = self.records.get_mut(at) else { break };
            seen(piece);
            let before = *piece;
            piece.marks.remove(Mark::LOST | Mark::RESENT | Mark::REPORTED | Mark::EXCUSED);
            piece.marks.insert(Mark::SACKED);
            self.uncount(before.marks, before.len());
            self.sacked += before.len();
            self.highest =
                if self.sacked == before.len() { before.end } else { self.highest.max(before.end) };
            at = self.join(at) + 1;
        }
    }

    /// Parts the oldest segment from those that left with it.
    pub fn part_oldest(&mut self) {
        if let Some(front) = self.records.front() {
            let seq = front.start.add(front.first.into()).min(front.end);
            self.split(seq);
        }
    }

    /// Deems lost what `is_lost` says, of what is not yet, or was and is in flight again. Gives how many octets, and of
    /// those how many had been sent again.
    pub fn mark_lost(&mut self, mut is_lost: impl FnMut(&Record) -> bool) -> Lost {
        let mut found = Lost::default();
        for record in &mut self.records {
            let waits = record.marks.contains(Mark::LOST) && !record.marks.contains(Mark::RESENT);
            if record.marks.contains(Mark::SACKED) || waits || !is_lost(record) {
                continue;
            }
            let len = record.len();
            found.octets += len;
            if record.marks.contains(Mark::RESENT) {
                self.resent -= len;
                record.marks.remove(Mark::RESENT | Mark::EXCUSED);
                found.resent += len;
            }
            if !record.marks.contains(Mark::LOST) {
                self.lost += len;
                record.marks.insert(Mark::LOST);
            }
            self.hint = self.hint.min(record.start);
        }
        found
    }

    /// Deems lost all segments of more than `most` octets. The others may have passed where these did not.
    pub fn mark_larger_lost(&mut self, most: u32) -> Lost {
        let mut at = 0;
        while let Some(&record) = self.records.get(at) {
            // Only the first segment of a run and its last may be smaller than the others.
            let (first, last) = (u32::from(record.first), record.last_segment_start());
            let larger = u32::from(record.mss) > most;
            if first < record.len() && (first > most) != larger {
                self.split(record.start.add(first));
            } else if last != record.start && (record.end.since(last) > most) != larger {
                self.split(last);
            }
            at += 1;
        }
        self.mark_lost(|record| record.len().min(record.mss.max(record.first).into()) > most)
    }

    /// What of `range` is lost and not in flight again was lost to no congestion.
    pub fn excuse(&mut self, range: SeqRange) {
        let (first, last) = (self.split(range.start), self.split(range.end));
        for record in self.records.range_mut(first..last) {
            let waits = record.marks.intersection(Mark::LOST | Mark::RESENT) == Mark::LOST;
            record.marks.set(Mark::EXCUSED, waits || record.marks.contains(Mark::EXCUSED));
        }
    }

    /// Nothing is lost: what was deemed so is in flight.
    pub fn unmark_lost(&mut self) {
        for record in &mut self.records {
            record.marks.remove(Mark::LOST | Mark::EXCUSED);
        }
        self.lost = 0;
    }

    /// The peer may have thrown away all that it told us of: it is to be sent again, unless the peer tells of it again,
    /// which then is no news.
    //= https://www.rfc-editor.org/rfc/rfc2018#section-5.1
    //= id=rfc2018-5.1-2
    //# Because the data receiver is allowed to discard SACKed data, when a retransmit timeout occurs the data
    //# sender MUST ignore prior SACK information in determining which data to retransmit.
    //= https://www.rfc-editor.org/rfc/rfc6675#section-5.1
    //# Additionally, a TCP sender MUST "ignore prior SACK information in determining which data to
    //# retransmit."
    //= https://www.rfc-editor.org/rfc/rfc2018#section-5
    //= id=rfc2018-5-2
    //= https://www.rfc-editor.org/rfc/rfc6675#section-5.1
    //= id=rfc6675-5.1-1
    pub fn disbelieve_sacks(&mut self) {
        for record in &mut self.records {
            if record.marks.contains(Mark::SACKED) {
                record.marks.remove(Mark::SACKED);
                record.marks.insert(Mark::LOST | Mark::REPORTED);
                self.lost += record.len();
                self.hint = self.hint.min(record.start);
            }
        }
        self.sacked = 0;
    }

    /// The lowest run that is lost and not in flight again.
    pub fn next_lost(&self) -> Option<SeqRange> {
        if self.lost == 0 {
            return None;
        }
        let first = self.records.partition_point(|r| r.end.at_or_before(self.hint));
        self.records
            .range(first..)
            .find(|r| r.marks.intersection(Mark::LOST | Mark::RESENT) == Mark::LOST)
            .map(Record::range)
    }

    /// What was sent again up to the end of `range` needs no look for what is lost, unless something before `range` is to be
    /// sent again yet.
    pub fn pass(&mut self, range: SeqRange) {
        let first = self.records.partition_point(|r| r.end.at_or_before(self.hint));
        let mut before = self.records.range(first..).take_while(|r| r.start.before(range.start));
        if !before.any(|r| r.marks.intersection(Mark::LOST | Mark::RESENT) == Mark::LOST) {
            self.hint = self.hint.max(range.end);
        }
    }

    /// Parts the record around `seq`, if one lies there. Gives the index of the first at or after it.
    fn split(&mut self, seq: Seq) -> usize {
        let at = self.records.partition_point(|r| r.end.at_or_before(seq));
        match self.records.get_mut(at) {
            Some(record) if record.start.before(seq) => {
                let tail = record.tail(seq);
                record.end = seq;
                record.marks.remove(Mark::BURST | Mark::PUSHED);
                self.records.insert(at + 1, tail);
                at + 1
            }
            _ => at,
        }
    }

    /// Joins a record that the peer has with such neighbours: holes are what is looked through. Gives its new index.
    fn join(&mut self, at: usize) -> usize {
        self.join_next(at);
        match at.checked_sub(1) {
            Some(before) if self.join_next(before) => before,
            _ => at,
        }
    }

    fn join_next(&mut self, at: usize) -> bool {
        let (Some(&record), Some(&next)) = (self.records.get(at), self.records.get(at + 1)) else {
            return false;
        };
        // Of another time it would lose its own: what was reported may be sent again after all.
        let same = record.mss == next.mss && record.sent() == next.sent();
        let joins = same && record.ends_full() && next.begins_full();
        if !joins || !record.marks.contains(Mark::SACKED) || !next.marks.contains(Mark::SACKED) {
            return false;
        }
        self.records.remove(at + 1);
        if let Some(joined) = self.records.get_mut(at) {
            joined.end = next.end;
            joined.marks = joined.marks.difference(Mark::BURST | Mark::PUSHED) | next.marks;
        }
        true
    }

    /// `len` octets with these marks are of it no more.
    fn uncount(&mut self, marks: Mark, len: u32) {
        for (mark, sum) in
            [(Mark::SACKED, &mut self.sacked), (Mark::LOST, &mut self.lost), (Mark::RESENT, &mut self.resent)]
        {
            if marks.contains(mark) {
                *sum -= len;
            }
        }
    }
}

/// What was newly deemed lost, octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// In all.
    pub octets: u32,
    /// Of that, what had been sent again: a lost retransmission.
    pub resent: u32,
}

/// The whole segments of `record` that lie in `block`.
fn whole_segments(record: &Record, block: SeqRange) -> Option<SeqRange> {
    let start = if block.start.at_or_before(record.start) {
        record.start
    } else {
        match record.behind_boundary(block.start) {
            0 => block.start,
            _ => block.start.add(record.tail(block.start).first.into()).min(record.end),
        }
    };
    let end = if record.end.at_or_before(block.end) {
        record.end
    } else {
        block.end.sub(record.behind_boundary(block.end))
    };
    start.before(end).then(|| SeqRange::new(start, end))
}

#[cfg(test)]
mod tests;

//! What one ACK tells of what is in flight: what it acknowledges, selectively or not, and what it says came twice.

use crate::seq::{Seq, SeqRange};
use crate::tcp::context::Context;
use crate::tcp::recovery::MAX_REORDERING;
use crate::tcp::recovery::scoreboard::{Mark, Record};
use crate::tcp::segment::Segment;
use crate::tcp::tcb::{Is, Tcb};
use crate::time::{Duration, Instant};

/// The news of one ACK.
#[derive(Clone, Copy, Debug)]
pub struct News {
    /// SND.UNA before it.
    pub una: Seq,
    /// The end of the last segment that was not full, before it.
    pub short: Seq,
    /// Octets in flight before it.
    pub in_flight: u32,
    /// The end of the highest that the peer had out of order before it.
    pub highest: Option<Seq>,
    /// How far SND.UNA moved, octets.
    pub advanced: u32,
    /// Octets that it says have arrived and none before it did.
    pub delivered: u32,
    /// As segments.
    pub segments: u32,
    /// Of these, octets told of selectively.
    pub sacked: u32,
    /// When the youngest of what was delivered had been sent, of what was sent only once.
    pub(in crate::tcp) youngest: Option<Instant>,
    /// It reports this as having come twice (RFC 2883).
    pub dsack: Option<SeqRange>,
    /// Something was delivered that was sent once, before the episode began.
    pub original: bool,
    /// Something was acknowledged that had been sent again.
    pub resent: bool,
    /// A duplicate ACK (RFC 5681 §2).
    pub duplicate: bool,
    /// It says nothing that the one before it did not say: no text, no SACK option, the same window.
    pub bare: bool,
    /// The echo of our clock.
    pub echo: Option<u32>,
    /// Where reordering shows: the lowest that was delivered late, having been sent once.
    late: Option<Seq>,
    /// Octets newly deemed lost because of it.
    pub lost: u32,
}

impl Tcb {
    /// Before anything is made of an ACK.
    pub(in crate::tcp) fn news(&self, seg: &Segment<'_>) -> News {
        News {
            una: self.snd.una,
            short: self.snd.short,
            in_flight: self.in_flight(),
            highest: self.recovery.board.highest_sacked(),
            advanced: 0,
            delivered: 0,
            segments: 0,
            sacked: 0,
            youngest: None,
            dsack: None,
            original: false,
            resent: false,
            duplicate: false,
            bare: seg.is_empty()
                && seg.ack == self.snd.una
                && seg.options.sack.is_empty()
                && self.snd.scale.octets(seg.window) == self.snd.wnd,
            echo: seg.timestamps().filter(|_| self.timestamps.enabled()).map(|ts| ts.echo),
            late: None,
            lost: 0,
        }
    }

    /// Takes the SACK blocks of an ACK.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-4
    //= id=rfc8985-4-1
    //= https://www.rfc-editor.org/rfc/rfc2018#section-5
    //= id=rfc2018-5-1
    //= https://www.rfc-editor.org/rfc/rfc6675#section-5.1
    //= id=rfc6675-5.1-3, rfc6675-5.1-7, rfc6675-5.1-8
    pub(in crate::tcp) fn take_sack_blocks(
        &mut self,
        seg: &Segment<'_>,
        news: &mut News,
        cx: &mut Context<'_>,
    ) {
        if !self.is.contains(Is::SACK) || seg.options.sack.is_empty() {
            return;
        }
        news.dsack = duplicate_report(seg);
        if let Some(block) = news.dsack {
            self.recovery.dsack_seen = true;
            self.count_came_twice(block);
            cx.counters.tcp_dsack_recv += 1;
        }
        // What straddles the ACK of its own segment contradicts it: the octet that is asked for has not come.
        let (una, nxt) = (self.snd.una.max(seg.ack), self.snd.nxt);
        let from = usize::from(news.dsack.is_some());
        for block in seg.options.sack.iter().skip(from) {
            let valid = block.start.before(block.end)
                && block.start.at_or_after(una)
                && block.start.before(nxt)
                && block.end.at_or_before(nxt);
            if !valid {
                cx.counters.tcp_sack_discard += u64::from(block.end.after(una));
                continue;
            }
            let recovery = &mut self.recovery;
            let recover = recovery.recover;
            let (rack, min_rtt, rate) = (&mut recovery.rack, self.rtt.min_rtt(), &mut self.rate);
            recovery.board.sack(*block, |piece| {
                news.sacked += piece.end.since(piece.start);
                if news.deliver(piece, recover) {
                    rack.deliver(piece, cx.now, min_rtt);
                    rate.delivered(&piece.stamp, piece.end.since(piece.start), cx.now);
                }
            });
        }
    }

    /// SND.UNA has moved to where it is now.
    pub(in crate::tcp) fn take_acknowledged(&mut self, news: &mut News, now: Instant) {
        let recovery = &mut self.recovery;
        let recover = recovery.recover;
        let (rack, min_rtt, rate) = (&mut recovery.rack, self.rtt.min_rtt(), &mut self.rate);
        let (echo, timestamps) = (news.echo.filter(|&echo| echo != 0), &self.timestamps);
        recovery.board.acknowledge(self.snd.una, |piece| {
            let twice = piece.marks.contains(Mark::TWICE);
            news.resent |= twice;
            if piece.marks.contains(Mark::SACKED) || !news.deliver(piece, recover) {
                return;
            }
            rate.delivered(&piece.stamp, piece.end.since(piece.start), now);
            //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
            //= id=rfc8985-6.2-s3
            //# The Timestamp Echo Reply field (TSecr) of the ACK's timestamp option [RFC7323], if available,
            //# indicates the ACK was not acknowledging the last retransmission of the segment.
            // Only an ACK that moves SND.UNA says so: beyond a gap the receiver keeps the older echo (RFC 7323 §4.3).
            let earlier = |echo| crate::tcp::timestamps::before(echo, timestamps.clock(piece.sent()));
            if !(twice && echo.is_some_and(earlier)) {
                rack.deliver(piece, now, min_rtt);
            }
        });
        if !recovery.sack {
            // Without SACK what was sent again cannot be told from what was not.
            news.original &= !news.resent;
            news.late = None;
        }
    }

    /// The same where all of it was sent once, and nothing has arrived out of order: the last of it left last. Gives how many
    /// segments it is, and when that left.
    pub(in crate::tcp) fn take_plain(&mut self, now: Instant) -> (u32, Option<Instant>) {
        let (mut segments, mut last) = (0, None);
        let rate = &mut self.rate;
        self.recovery.board.acknowledge(self.snd.una, |piece| {
            segments += piece.segments();
            rate.delivered(&piece.stamp, piece.end.since(piece.start), now);
            last = Some((piece.sent(), piece.end));
        });
        if let Some((sent, end)) = last {
            self.recovery.rack.deliver_once(sent, end, now);
        }
        (segments, last.map(|(sent, _)| sent))
    }

    /// What came late although it was sent once shows how far the path reorders: before that much is missing
    /// nothing need be lost.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= id=rfc8985-6.2-s6
    //# If a never-retransmitted segment that's below RACK.fack is (selectively or cumulatively)
    //# acknowledged, it has been delivered out of order.
    pub(in crate::tcp) fn check_reordering(&mut self, news: &News, cx: &mut Context<'_>) {
        if let Some(late) = news.late {
            self.reordered(late, news.highest, cx);
        }
    }

    /// What begins at `late` has arrived behind what was sent after it, up to `fack` at least.
    pub(in crate::tcp) fn reordered(&mut self, late: Seq, fack: Option<Seq>, cx: &mut Context<'_>) {
        let mss = self.smss();
        let recovery = &mut self.recovery;
        // The late one may have filled the last gap, so that nothing is out of order any more.
        let Some(fack) = recovery.board.highest_sacked().or(fack) else { return };
        let metric = fack.saturating_since(late);
        if metric > u32::from(recovery.dup_thresh).saturating_mul(mss) {
            let segments = u16::try_from(metric.div_ceil(mss)).unwrap_or(u16::MAX);
            recovery.dup_thresh = segments.min(MAX_REORDERING).max(recovery.dup_thresh);
        }
        recovery.rack.reorderings = recovery.rack.reorderings.saturating_add(1);
        cx.counters.tcp_sack_reorder += 1;
    }
}

impl News {
    /// Of what was delivered, the youngest that was sent only once took this long.
    pub(in crate::tcp) fn rtt(&self, now: Instant) -> Option<Duration> {
        self.youngest.map(|sent| now.saturating_since(sent))
    }

    /// Gives false where it is no news: it had arrived before the time-out.
    fn deliver(&mut self, piece: &Record, recover: Seq) -> bool {
        if piece.marks.contains(Mark::REPORTED) {
            return false;
        }
        self.delivered += piece.end.since(piece.start);
        self.segments += piece.segments();
        if piece.marks.contains(Mark::TWICE) {
            return true;
        }
        self.original |= piece.end.at_or_before(recover);
        self.youngest = self.youngest.max(Some(piece.sent()));
        // Against what was known before this ACK: what one ACK tells of has no order.
        if self.highest.is_some_and(|highest| piece.start.before(highest)) {
            self.late = Some(self.late.map_or(piece.start, |l| l.min(piece.start)));
        }
        true
    }
}

/// The first block, where it tells of what came twice: it lies below the ACK of the same segment, or within the second
/// block (RFC 2883 §4). One that straddles the ACK tells of nothing that can be.
//= https://www.rfc-editor.org/rfc/rfc2883#section-5
//= id=rfc2883-5-1
fn duplicate_report(seg: &Segment<'_>) -> Option<SeqRange> {
    let first = *seg.options.sack.first()?;
    let below = first.start.before(seg.ack) && first.end.at_or_before(seg.ack);
    let within = seg.options.sack.get(1).is_some_and(|second| second.covers(&first));
    ((below || within) && first.start.before(first.end)).then_some(first)
}

//! RACK: what was sent well before something that has arrived since is lost (RFC 8985 §6).

use super::Recovery;
use super::scoreboard::{Mark, Record};
use crate::seq::Seq;
use crate::time::{Duration, Instant};

/// The variables of a connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: of what was sent last, of all that has arrived.
    pub(in crate::tcp) xmit: Instant,
    pub(in crate::tcp) end: Seq,
    /// RACK.rtt, microseconds.
    pub(in crate::tcp) rtt: u32,
    /// Something was delivered since losses were last looked for.
    pub(in crate::tcp) advanced: bool,
    /// How often what had been sent earlier came later.
    pub(in crate::tcp) reorderings: u32,
    /// RACK.reo_wnd_mult.
    pub(in crate::tcp) steps: u8,
    /// RACK.reo_wnd_persist.
    pub(in crate::tcp) persist: u8,
    /// RACK.dsack_round: the window does not widen again before SND.UNA is here.
    pub(in crate::tcp) dsack_round: Option<Seq>,
}

impl Rack {
    pub(in crate::tcp) const fn new(iss: Seq) -> Self {
        Self {
            xmit: Instant::ZERO,
            end: iss,
            rtt: 0,
            advanced: false,
            reorderings: 0,
            steps: 1,
            persist: 0,
            dsack_round: None,
        }
    }

    /// SND.UNA is at `una`: the round trip in which a duplicate was reported may be over.
    pub(in crate::tcp) fn end_round(&mut self, una: Seq) {
        if self.dsack_round.is_some_and(|round| una.at_or_after(round)) {
            self.dsack_round = None;
        }
    }

    /// A piece has arrived.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= id=rfc8985-6.2-s5
    //# Among all the segments newly ACKed or SACKed by this ACK that pass the checks above, update the
    //# RACK.rtt to be the RTT sample calculated using this ACK.
    pub(in crate::tcp) fn deliver(&mut self, piece: &Record, now: Instant, min_rtt: Option<Duration>) {
        let rtt = || now.saturating_since(piece.sent());
        // Which of its transmissions arrived is not known: one that took less than any ever did was not the last.
        //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
        //= id=rfc8985-6.2-s4
        //# The segment was last retransmitted less than RACK.min_rtt ago.
        if piece.marks.contains(Mark::TWICE) && min_rtt.is_some_and(|min| rtt() < min) {
            return;
        }
        self.deliver_once(piece.sent(), piece.end, now);
    }

    /// What has arrived left at `sent` and ends with `end`. Of several that left one after another, each once, the last will do.
    #[inline]
    pub(in crate::tcp) fn deliver_once(&mut self, sent: Instant, end: Seq, now: Instant) {
        self.advanced = true;
        // Of several the one with the highest number counts, as in Linux. Where that is no retransmission and another is, it
        // is the longer time, with which less is deemed lost.
        self.rtt = u32::try_from(now.micros_since(sent)).unwrap_or(u32::MAX);
        if sent > self.xmit || (sent == self.xmit && end.after(self.end)) {
            self.xmit = sent;
            self.end = end;
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= id=rfc8985-6.2-s10
    //# The algorithm breaks timestamp ties by using the TCP sequence space since high-speed networks often
    //# have multiple segments with identical timestamps.
    pub(in crate::tcp) fn sent_after(&self, record: &Record, now: Instant) -> bool {
        // That is the order within a burst. What is sent again at this moment left after all that has arrived by now, whatever
        // its number: where no time passes, an ACK would else make the retransmission lost that the one before it called for.
        if record.marks.contains(Mark::RESENT) && record.sent() == now {
            return false;
        }
        self.xmit > record.sent() || (self.xmit == record.sent() && self.end.after(record.end))
    }
}

impl Recovery {
    /// A recovery has ended without being taken back.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= id=rfc8985-6.2-s8
    //# RACK persists using the inflated RACK.reo_wnd for up to 16 loss recoveries, after which it resets
    //# RACK.reo_wnd to its starting value, min_RTT / 4.
    pub(in crate::tcp) const fn rack_recovered(&mut self) {
        self.rack.persist = self.rack.persist.saturating_sub(1);
        if self.rack.persist == 0 {
            self.rack.steps = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::delivery_rate::Stamp;
    use crate::seq::SeqRange;
    use crate::tcp::recovery::scoreboard::Scoreboard;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //= id=rfc8985-6.2-s4
    #[test]
    fn what_was_just_sent_again_cannot_have_arrived() {
        let (range, min) = (SeqRange::with_len(Seq::new(1), 100), Some(Duration::from_millis(50)));
        for (arrives, counts) in [(149, false), (150, true)] {
            let mut board = Scoreboard::new(Seq::new(1));
            board.on_send(range, 100, Stamp::at(at(0)));
            board.on_resend(range, Stamp::at(at(100)));
            let mut rack = Rack::new(Seq::new(1));
            board.acknowledge(Seq::new(101), |piece| rack.deliver(piece, at(arrives), min));
            assert_eq!((rack.advanced, rack.xmit == at(100)), (counts, counts), "after {arrives} ms");
        }
    }

    /// Four segments leave, an ACK tells of the second and the third, the first leaves again, an ACK tells of the fourth: all
    /// at one moment.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //= id=rfc8985-6.2-s10
    #[test]
    fn what_is_sent_again_at_the_same_moment_is_later() {
        let (first, now) = (SeqRange::with_len(Seq::new(1), 100), at(5));
        let (mut board, mut rack) = (Scoreboard::new(Seq::new(1)), Rack::new(Seq::new(1)));
        for start in [1, 101, 201, 301] {
            board.on_send(SeqRange::with_len(Seq::new(start), 100), 100, Stamp::at(now));
        }
        board.sack(SeqRange::with_len(Seq::new(101), 200), |piece| rack.deliver(piece, now, None));
        assert!(rack.sent_after(board.front().unwrap(), now), "of one burst the numbers tell");
        board.on_resend(first, Stamp::at(now));
        board.sack(SeqRange::with_len(Seq::new(301), 100), |piece| rack.deliver(piece, now, None));
        assert!(rack.end == Seq::new(401) && !rack.sent_after(board.front().unwrap(), now));
        // Once time has passed, what arrives may have left after it.
        assert!(rack.sent_after(board.front().unwrap(), at(6)));
    }

    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //= id=rfc8985-6.2-s8
    #[test]
    fn a_wider_window_lasts_for_sixteen_recoveries() {
        let mut recovery = Recovery::new(Seq::new(1), 3);
        (recovery.rack.steps, recovery.rack.persist) = (5, 16);
        for n in 1..=16 {
            assert_eq!(recovery.rack.steps, 5, "in the {n}th");
            recovery.rack_recovered();
        }
        assert_eq!(recovery.rack.steps, 1);
    }
}

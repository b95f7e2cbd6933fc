//! Whose turn it is to send.
//!
//! To a peer that is near, most of all the host behind a TUN, a turn has several segments: what it is given together it takes in
//! together, where one segment of each of many connections wakes another program of it for every packet. To one that is far a
//! turn is a segment, so that what leaves together is spread over the connections. Those that have come to send since go
//! before those that have used up a turn and have more, but for one turn of these after as much of theirs: so replies and
//! acknowledgments need not wait until each of many bulk senders has had another turn, nor do these wait for ever for replies.

use alloc::collections::VecDeque;

/// Octets of text after which a turn of several segments is over: a quarter of the largest packet that a device joins.
const TURN: usize = 16 << 10;

/// What a segment counts for at the least, octets: to send one that has none takes time, too.
const LEAST: usize = TURN / 16;

/// Connections that may have something to send, by their slots: each once, beside entries of such as are gone, which end when
/// their turn comes.
#[derive(Debug)]
pub(super) struct Turns {
    /// Those that have come since, and those that have sent for a turn and have more.
    fresh: VecDeque<u32>,
    rest: VecDeque<u32>,
    /// Whether one of the rest has the turn, or is to have the next one.
    is_of_rest: bool,
    /// Octets that have left in this turn, in the last one of the rest, and in turns of fresh ones since.
    left: usize,
    rest_left: usize,
    fresh_left: usize,
}

impl Turns {
    pub(super) const fn new() -> Self {
        Self {
            fresh: VecDeque::new(),
            rest: VecDeque::new(),
            is_of_rest: false,
            left: 0,
            rest_left: TURN,
            fresh_left: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.rest.is_empty()
    }

    /// Whether several have something to send.
    pub(super) fn are_several(&self) -> bool {
        self.fresh.len() + self.rest.len() > 1
    }

    /// One that has none yet waits for a turn.
    pub(super) fn push(&mut self, index: u32) {
        self.fresh.push_back(index);
    }

    /// Whose turn it is.
    pub(super) fn current(&mut self) -> Option<u32> {
        if self.list().is_empty() {
            self.is_of_rest = !self.is_of_rest;
        }
        self.list().front().copied()
    }

    const fn list(&mut self) -> &mut VecDeque<u32> {
        if self.is_of_rest { &mut self.rest } else { &mut self.fresh }
    }

    /// Whose turn it is has sent a segment with so much text.
    pub(super) fn sent(&mut self, octets: usize) {
        self.left = self.left.saturating_add(octets.max(LEAST));
    }

    /// Whose turn it is has sent, and has more. It goes on if nobody else waits, or to one that `is_near`, for a while.
    pub(super) fn has_more(&mut self, is_near: bool) {
        let is_over = !is_near || self.left >= TURN;
        if is_over && self.are_several() {
            let index = self.list().pop_front();
            self.next();
            self.rest.extend(index);
        } else if is_over {
            // What left while nobody waited is not to be made up for.
            self.left = self.left.min(TURN);
        }
    }

    /// Whose turn it is, the one in this slot, has nothing more to send.
    pub(super) fn end(&mut self, index: u32) {
        let ended = self.list().pop_front();
        debug_assert_eq!(ended, Some(index), "it is another one's turn");
        self.next();
    }

    fn next(&mut self) {
        if self.is_of_rest {
            // Who has sent nothing has used up no turn.
            self.is_of_rest = self.left == 0 && !self.rest.is_empty();
            if self.left > 0 {
                (self.rest_left, self.fresh_left) = (self.left, 0);
            }
        } else if self.rest.is_empty() {
            self.fresh_left = 0;
        } else {
            self.fresh_left = self.fresh_left.saturating_add(self.left);
            self.is_of_rest = self.fresh_left >= self.rest_left;
        }
        self.left = 0;
    }
}

#[cfg(test)]
impl Turns {
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.rest.len()
    }

    /// How often one in this slot waits.
    pub(super) fn count(&self, index: u32) -> usize {
        self.fresh.iter().chain(&self.rest).filter(|&&other| other == index).count()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const SEGMENT: usize = TURN / 4;

    fn turns(waiting: impl IntoIterator<Item = u32>) -> Turns {
        let mut turns = Turns::new();
        waiting.into_iter().for_each(|index| turns.push(index));
        turns
    }

    /// Who sends so many segments, to peers that are near; who has more says so.
    fn send(turns: &mut Turns, segments: usize, has_more: impl Fn(u32) -> bool) -> Vec<u32> {
        send_of(turns, segments, SEGMENT, true, has_more)
    }

    fn send_of(
        turns: &mut Turns,
        segments: usize,
        octets: usize,
        is_near: bool,
        has_more: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut sent = Vec::new();
        for _ in 0..segments {
            let Some(index) = turns.current() else { break };
            sent.push(index);
            turns.sent(octets);
            if has_more(index) {
                turns.has_more(is_near);
            } else {
                turns.end(index);
            }
        }
        sent
    }

    #[test]
    fn each_has_a_turn_of_several_segments() {
        let sent = send(&mut turns([7, 8, 9]), 40, |_| true);
        assert_eq!(sent.chunks(4).map(|turn| turn[0]).collect::<Vec<_>>(), [7, 8, 7, 9, 8, 7, 9, 8, 7, 9]);
        assert!(sent.chunks(4).all(|turn| turn == [turn[0]; 4]), "{sent:?}");
    }

    #[test]
    fn to_one_that_is_far_a_turn_is_a_segment() {
        let sent = send_of(&mut turns([7, 8, 9]), 7, SEGMENT, false, |_| true);
        assert_eq!(sent, [7, 8, 9, 7, 8, 9, 7]);
    }

    #[test]
    fn a_reply_waits_for_one_turn_at_the_most() {
        let mut turns = turns(0..64);
        send(&mut turns, 600, |_| true);
        turns.push(99);
        let sent = send(&mut turns, 5, |index| index != 99);
        assert!(sent.contains(&99), "{sent:?}");
    }

    #[test]
    fn who_has_nothing_to_send_brings_no_bulk_sender_its_turn() {
        let mut turns = turns([1]);
        send(&mut turns, 6, |_| true);
        (10..70).for_each(|index| turns.push(index));
        turns.push(99);
        let mut bulk = 0;
        while let Some(index) = turns.current().filter(|index| *index != 99) {
            if index == 1 {
                bulk += 1;
                turns.sent(SEGMENT);
                turns.has_more(true);
            } else {
                turns.end(index);
            }
        }
        // It is through with the turn that it has.
        assert_eq!((turns.current(), bulk), (Some(99), 1));
    }

    #[test]
    fn acknowledgments_share_with_a_bulk_sender_by_their_cost() {
        let mut turns = turns([1]);
        send(&mut turns, 4, |_| true);
        (10..74).for_each(|index| turns.push(index));
        let sent = send_of(&mut turns, 80, 0, true, |index| index == 1);
        let bulk = sent.iter().filter(|index| **index == 1).count();
        assert!((32..=48).contains(&bulk), "{bulk} of {sent:?}");
    }

    /// Each time one has replied it is there again with another reply.
    #[test]
    fn replies_without_end_leave_half_of_what_is_sent_to_others() {
        // A segment of one that is far is a turn, however large a device takes it.
        for (is_near, octets) in [(true, SEGMENT), (false, SEGMENT), (false, 4 * TURN)] {
            for bulk in [&[1][..], &[1, 3]] {
                let mut turns = turns(bulk.iter().copied());
                send_of(&mut turns, 16, octets, is_near, |_| true);
                let mut count = 0;
                for _ in 0..200 {
                    if turns.count(2) == 0 {
                        turns.push(2);
                    }
                    let sent = send_of(&mut turns, 1, octets, is_near, |index| index != 2);
                    count += sent.iter().filter(|index| **index != 2).count();
                }
                assert!((98..=102).contains(&count), "{count} of {bulk:?}, {is_near}, {octets}");
            }
        }
    }

    #[test]
    fn who_was_alone_for_long_is_not_behind_for_it() {
        for is_near in [true, false] {
            let mut turns = turns([1, 2]);
            send_of(&mut turns, 16, SEGMENT, is_near, |_| true);
            send_of(&mut turns, 10_000, SEGMENT, is_near, |index| index == 1);
            let mut count = 0;
            for _ in 0..200 {
                if turns.count(3) == 0 {
                    turns.push(3);
                }
                let sent = send_of(&mut turns, 1, SEGMENT, is_near, |index| index == 1);
                count += sent.iter().filter(|index| **index == 1).count();
            }
            assert!((96..=104).contains(&count), "{count}, {is_near}");
        }
    }

    /// It acknowledges what it was sent meanwhile, say, and there is no more that may leave.
    #[test]
    fn one_of_the_rest_that_sends_nothing_leaves_its_turn_to_the_next() {
        let mut turns = turns([1, 2, 3]);
        send(&mut turns, 12, |_| true);
        while turns.current() != Some(1) || turns.left > 0 {
            send(&mut turns, 1, |_| true);
        }
        (10..20).for_each(|index| turns.push(index));
        // It is the turn of the first of the rest.
        turns.end(1);
        assert!(matches!(turns.current(), Some(2 | 3)), "{turns:?}");
        assert_eq!(send(&mut turns, 5, |index| index < 10)[4], 10);
    }

    /// Each is new, and has more than a turn takes: those that had theirs have every other one.
    #[test]
    fn bulk_senders_without_end_leave_every_other_turn_to_the_rest() {
        let mut turns = turns([1, 2]);
        send(&mut turns, 8, |_| true);
        let mut rest = 0;
        for index in 100..200 {
            turns.push(index);
            rest += send(&mut turns, 8, |_| true).iter().filter(|sent| **sent != index).count();
        }
        assert!((396..=404).contains(&rest), "{rest}");
    }

    #[test]
    fn who_is_alone_goes_on_and_stays_where_it_is() {
        for is_near in [true, false] {
            let mut turns = turns([3]);
            assert!(!turns.are_several());
            assert_eq!(send_of(&mut turns, 50, SEGMENT, is_near, |_| true), [3; 50]);
            // A train has no look at whose turn it is.
            turns.end(3);
            assert_eq!((turns.is_empty(), turns.current()), (true, None));
        }
    }
}

//! Whose turn it is to send.
//!
//! To a peer that is near, most of all the host behind a TUN, a turn has several segments: what it is given together it takes in
//! together, where one segment of each of many connections wakes another program of it for every packet. To one that is far a
//! turn is a segment, so that what leaves together is spread over the connections. Those that have come to send since take
//! turns with those that have used up one: so a reply need not wait until each of many bulk senders has had another turn, nor
//! do these wait for ever for replies.

use alloc::collections::VecDeque;

/// Octets of text after which a turn of several segments is over: a quarter of the largest packet that a device joins.
const TURN: usize = 16 << 10;

/// Connections that may have something to send, by their slots, each once.
#[derive(Debug)]
pub(super) struct Turns {
    /// Those that have come since, and those that have sent for a turn and have more.
    fresh: VecDeque<u32>,
    rest: VecDeque<u32>,
    /// Whether one of the rest has the turn, or is to have the next one.
    is_of_rest: bool,
    /// Octets that it has had.
    had: usize,
}

impl Turns {
    pub(super) const fn new() -> Self {
        Self { fresh: VecDeque::new(), rest: VecDeque::new(), is_of_rest: false, had: 0 }
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

    /// Whose turn it is has sent so many octets, and has more. To one that `is_near` it may go on.
    pub(super) fn sent(&mut self, octets: usize, is_near: bool) {
        self.had += octets;
        let is_over = !is_near || self.had >= TURN;
        if is_over && let Some(index) = self.end() {
            self.rest.push_back(index);
            // Who comes now has sent less.
            self.is_of_rest = false;
        }
    }

    /// Whose turn it is has nothing more to send.
    pub(super) fn end(&mut self) -> Option<u32> {
        let index = self.list().pop_front();
        (self.is_of_rest, self.had) = (!self.is_of_rest, 0);
        index
    }
}

#[cfg(test)]
impl Turns {
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.rest.len()
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.fresh.contains(&index) || self.rest.contains(&index)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Who sends so many segments of a quarter of a turn; who has more says so.
    fn send(turns: &mut Turns, segments: usize, has_more: impl Fn(u32) -> bool) -> Vec<u32> {
        send_to(turns, segments, true, has_more)
    }

    fn send_to(
        turns: &mut Turns,
        segments: usize,
        is_near: bool,
        has_more: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut sent = Vec::new();
        for _ in 0..segments {
            let Some(index) = turns.current() else { break };
            sent.push(index);
            if has_more(index) {
                turns.sent(TURN / 4, is_near);
            } else {
                assert_eq!(turns.end(), Some(index));
            }
        }
        sent
    }

    #[test]
    fn each_has_a_turn_of_several_segments() {
        let mut turns = Turns::new();
        for index in [7, 8, 9] {
            turns.push(index);
        }
        let sent = send(&mut turns, 24, |_| true);
        assert_eq!(sent.chunks(4).map(|turn| turn[0]).collect::<Vec<_>>(), [7, 8, 9, 7, 8, 9]);
        assert!(sent.chunks(4).all(|turn| turn == [turn[0]; 4]), "{sent:?}");
    }

    #[test]
    fn to_one_that_is_far_a_turn_is_a_segment() {
        let mut turns = Turns::new();
        for index in [7, 8, 9] {
            turns.push(index);
        }
        assert_eq!(send_to(&mut turns, 7, false, |_| true), [7, 8, 9, 7, 8, 9, 7]);
    }

    #[test]
    fn a_reply_waits_for_one_turn_at_the_most() {
        let mut turns = Turns::new();
        for index in 0..64 {
            turns.push(index);
        }
        send(&mut turns, 300, |_| true);
        turns.push(99);
        let sent = send(&mut turns, 8, |index| index != 99);
        assert!(sent.contains(&99), "{sent:?}");
    }

    /// Each time one has replied it is there again with another reply.
    #[test]
    fn replies_without_end_leave_half_of_the_turns_to_others() {
        let mut turns = Turns::new();
        turns.push(1);
        send(&mut turns, 4, |_| true);
        let mut bulk = 0;
        for _ in 0..100 {
            if !turns.fresh.contains(&2) {
                turns.push(2);
            }
            bulk += send(&mut turns, 1, |index| index == 1).iter().filter(|index| **index == 1).count();
        }
        assert_eq!(bulk, 80);
    }

    #[test]
    fn who_is_alone_goes_on() {
        let mut turns = Turns::new();
        turns.push(3);
        assert!(!turns.are_several());
        assert_eq!(send(&mut turns, 50, |_| true), [3; 50]);
        assert_eq!((turns.end(), turns.is_empty(), turns.current()), (Some(3), true, None));
        assert_eq!(turns.end(), None);
    }
}

//! What a stack holds of memory besides its connections, and how much of it it may: Linux's `tcp_mem`.
//!
//! Counted are what has been written and not acknowledged, what has been received and not read, in order or not, and the
//! records of connection requests and of TIME-WAIT. As it grows towards the [budget](crate::config::Config::memory):
//!
//! | held | what changes |
//! |---|---|
//! | half of the budget: *pressure*, until less than three eighths are held | buffers grow no more; windows are offered no further than four segments, but what was offered stands; a program may have four segments unacknowledged on a connection |
//! | half of it received | what comes out of order is not kept |
//! | half of it written | a program can write no more before something is acknowledged |
//! | three quarters of it received, or all of it held | what a connection keeps out of order is thrown away for what comes in order (RFC 2018 §8), and after that what comes in order; the peer is told a window of zero, and of the room there is again |
//! | an eighth of it records | requests are answered with cookies, or dropped where there are to be none; the oldest record in TIME-WAIT makes room for the next |
//!
//! What is thrown away is not acknowledged, so that the peer sends it again. A peer that finds a window of zero asks for as
//! long as it takes (RFC 9293 §3.8.6.1): no connection is lost.

use crate::counters::Counters;

/// Octets that a record of a request or of TIME-WAIT takes, with its places in the slab, the table, the wheel and the queue
/// of records.
pub const RECORD: usize = 176;

/// The least budget: with less, single connections could not work.
pub const LEAST: usize = 1 << 20;

/// Kept free of what can be told beforehand, for what cannot.
const SLACK: usize = 16 << 10;

/// What one connection that was told a window of zero is taken to send once it is told of another: an initial window
/// (RFC 6928), and what keeping it costs.
const ANSWER: usize = 32 << 10;

/// What a connection holds, as it is in the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Charge {
    send: u32,
    receive: u32,
}

/// The books of a stack. All figures are octets.
#[derive(Clone, Debug)]
pub struct Memory {
    budget: usize,
    send: usize,
    receive: usize,
    records: usize,
    pressure: bool,
    /// What those may send that were told of room, and have not sent yet.
    promised: usize,
}

impl Memory {
    /// Nothing is held. A budget of less than [`LEAST`] counts as that; `None`: there is none, and no books are kept.
    pub fn new(budget: Option<usize>) -> Self {
        let budget = budget.map_or(usize::MAX, |octets| octets.max(LEAST));
        Self { budget, send: 0, receive: 0, records: 0, pressure: false, promised: 0 }
    }

    /// Whether there is a budget.
    pub const fn is_bounded(&self) -> bool {
        self.budget != usize::MAX
    }

    /// What may be held.
    pub fn budget(&self) -> Option<usize> {
        self.is_bounded().then_some(self.budget)
    }

    /// What is held.
    pub const fn held(&self) -> usize {
        self.send + self.receive + self.records
    }

    /// Of that, what was written and is not acknowledged.
    pub const fn send(&self) -> usize {
        self.send
    }

    /// Of that, what was received and is not read.
    pub const fn receive(&self) -> usize {
        self.receive
    }

    /// Of that, records of requests and of TIME-WAIT.
    pub const fn records(&self) -> usize {
        self.records
    }

    /// Whether there is little left.
    pub const fn under_pressure(&self) -> bool {
        self.pressure
    }

    /// A connection that held `charge` holds so much now.
    pub fn charge(&mut self, charge: &mut Charge, send: usize, receive: usize, counters: &mut Counters) {
        let (send, receive) = (clamped(send), clamped(receive));
        if (Charge { send, receive }) == *charge {
            return;
        }
        let read = charge.receive.saturating_sub(receive) as usize;
        self.send = self.send.saturating_sub(charge.send as usize).saturating_add(send as usize);
        self.receive = self.receive.saturating_sub(charge.receive as usize).saturating_add(receive as usize);
        // What is read makes room for others; and where nearly nothing is held, nobody sends what was promised.
        self.promised = if self.receive < self.budget / 16 { 0 } else { self.promised.saturating_sub(read) };
        *charge = Charge { send, receive };
        self.judge(counters);
    }

    /// A record is made.
    pub fn add_record(&mut self, counters: &mut Counters) {
        if self.is_bounded() {
            self.records += RECORD;
            self.judge(counters);
        }
    }

    /// A record is gone.
    pub fn remove_record(&mut self, counters: &mut Counters) {
        if self.is_bounded() {
            self.records = self.records.saturating_sub(RECORD);
            self.judge(counters);
        }
    }

    fn judge(&mut self, counters: &mut Counters) {
        let held = self.held();
        if held > self.budget / 2 {
            counters.tcp_memory_pressures += u64::from(!self.pressure);
            self.pressure = true;
        } else if held < self.budget / 8 * 3 {
            self.pressure = false;
        }
    }

    const fn left(&self) -> usize {
        self.budget.saturating_sub(SLACK).saturating_sub(self.held())
    }

    /// Whether another record may be made.
    pub const fn has_room_for_record(&self) -> bool {
        self.records + RECORD <= self.budget / 8 && self.left() >= RECORD
    }

    /// By how much what is written may grow.
    pub fn room_to_send(&self) -> usize {
        (self.budget / 2).saturating_sub(self.send).min(self.left())
    }

    /// By how much what is received may grow.
    pub fn room_to_receive(&self) -> usize {
        (self.budget / 4 * 3).saturating_sub(self.receive).min(self.left())
    }

    /// By how much what is kept out of order may grow.
    pub fn room_out_of_order(&self) -> usize {
        (self.budget / 2).saturating_sub(self.receive).min(self.left())
    }

    /// Whether those who could not write can try again.
    pub fn has_room_to_write(&self) -> bool {
        self.room_to_send() >= (self.budget / 16).max(SLACK)
    }

    /// Whether one more of those that were told a window of zero may be told of room; if so, it is promised.
    pub fn promise(&mut self) -> bool {
        let room = self.room_out_of_order() >= self.promised.saturating_add(ANSWER.min(self.budget / 32));
        self.promised += if room { ANSWER.min(self.budget / 32) } else { 0 };
        room
    }
}

/// No single connection holds more.
fn clamped(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> (Memory, Counters) {
        (Memory::new(Some(16 << 20)), Counters::default())
    }

    #[test]
    fn without_a_budget_there_is_room_for_all() {
        let mut c = Counters::default();
        let mut m = Memory::new(None);
        m.add_record(&mut c);
        assert_eq!((m.held(), m.budget()), (0, None));
        assert!(m.room_to_receive() > 1 << 60 && m.room_to_send() > 1 << 60 && m.has_room_for_record());
        assert_eq!(Memory::new(Some(0)).budget(), Some(LEAST));
    }

    #[test]
    fn what_is_held_is_the_sum_of_what_each_holds() {
        let (mut m, mut c) = books();
        let mut charges = [Charge::default(); 3];
        for (at, send, receive) in [(0, 10, 20), (1, 5, 0), (0, 3, 50), (2, 7, 7), (2, 0, 0)] {
            m.charge(&mut charges[at], send, receive, &mut c);
        }
        assert_eq!((m.send(), m.receive(), m.held()), (8, 50, 58));
        m.add_record(&mut c);
        assert_eq!((m.records(), m.held()), (RECORD, 58 + RECORD));
        m.remove_record(&mut c);
        m.remove_record(&mut c);
        assert_eq!(m.held(), 58);
    }

    #[test]
    fn pressure_begins_at_a_half_and_ends_below_three_eighths() {
        let (mut m, mut c) = books();
        let mut charge = Charge::default();
        for (held, pressure, times) in
            [(8, false, 0), (9, true, 1), (7, true, 1), (5, false, 1), (7, false, 1), (9, true, 2)]
        {
            m.charge(&mut charge, 0, held << 20, &mut c);
            assert_eq!((m.under_pressure(), c.tcp_memory_pressures), (pressure, times), "{held}");
        }
    }

    #[test]
    fn each_kind_has_its_part() {
        let (mut m, mut c) = books();
        let mut charge = Charge::default();
        m.charge(&mut charge, 8 << 20, 0, &mut c);
        assert_eq!(m.room_to_send(), 0);
        assert_eq!(m.room_to_receive(), (8 << 20) - SLACK, "what is left");
        m.charge(&mut charge, 0, 12 << 20, &mut c);
        assert_eq!((m.room_to_receive(), m.room_out_of_order()), (0, 0));
        assert_eq!(m.room_to_send(), (4 << 20) - SLACK);
        while m.has_room_for_record() {
            m.add_record(&mut c);
        }
        assert_eq!(m.records(), (2 << 20) / RECORD * RECORD);
    }

    #[test]
    fn no_more_is_promised_than_there_is_room_for_and_reading_makes_more() {
        let (mut m, mut c) = books();
        let mut charge = Charge::default();
        m.charge(&mut charge, 0, 7 << 20, &mut c);
        let count = |m: &mut Memory| (0..10_000).take_while(|_| m.promise()).count();
        assert_eq!(count(&mut m), (1 << 20) / ANSWER);
        assert_eq!(count(&mut m), 0);
        m.charge(&mut charge, 0, (7 << 20) - 2 * ANSWER, &mut c);
        assert_eq!(count(&mut m), 4, "what was read, twice: as room, and as taken off what was promised");
        m.charge(&mut charge, 0, 0, &mut c);
        assert_eq!(count(&mut m), (8 << 20) / ANSWER, "nobody sends what was promised");
    }
}

//! What a stack holds of memory besides its connections, and how much of it it may: Linux's `tcp_mem`.
//!
//! Counted are what has been written and not acknowledged, what has been received and not read, in order or not, the
//! records of connection requests and of TIME-WAIT, and packets that wait to leave. As it grows towards the
//! [budget](crate::config::Config::memory):
//!
//! | held | what changes |
//! |---|---|
//! | half of the budget: *pressure*, until less than three eighths are held | buffers grow no more; windows are offered no further than four segments, but what was offered stands; a program may have four segments unacknowledged on a connection, 16 KiB at the most |
//! | a quarter of it written, until less than three sixteenths are | the same for what programs write |
//! | half of it written | a program may write some hundred octets on a connection where nothing of its waits for an acknowledgment |
//! | five eighths of it written, or all of it held | a program can write no more on a connection before something is acknowledged, there or elsewhere |
//! | half of it received | what comes out of order is not kept |
//! | three quarters of it received, or fifteen sixteenths of it held | what a connection keeps out of order is thrown away for what comes in order (RFC 2018 §8), and after that what comes in order; the peer is told a window of zero, and of the room there is again |
//! | a sixteenth of it requests | requests are answered with cookies, or dropped where there are to be none |
//! | an eighth of it requests and records in TIME-WAIT | the oldest record in TIME-WAIT makes room for the next, and for requests |
//! | an eighth of it packets | what a device does not take as fast as it comes is thrown away, as it may be on any path; but segments are not cut before they can leave |
//!
//! Not counted, and bounded otherwise: connections themselves; what is remembered of segments on their way, 80 octets or less
//! for each run of them that left at once; datagrams that wait to be read, which each socket limits; control segments that
//! wait to leave, 8192 of them; and what a program hands over by reference beyond the octets that are to be sent.
//!
//! What is thrown away is not acknowledged, so that the peer sends it again. A peer that finds a window of zero asks for as
//! long as it takes (RFC 9293 §3.8.6.1): no connection is lost.

use core::num::NonZeroU32;

use crate::counters::Counters;
use crate::time::{Duration, Instant};

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

/// What a connection may hold of what was written while others hold much.
const FLOOR: usize = (16 << 10) + 512;

/// What it may hold while there is next to nothing.
const FIRST: usize = 1 << 10;

/// How long room is kept for one that was told that it can write.
const GRANT: Duration = Duration::from_millis(10);

/// What a connection holds, as it is in the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Charge {
    send: u32,
    receive: u32,
}

impl Charge {
    /// Octets of memory that what was written takes.
    pub const fn send(self) -> usize {
        self.send as usize
    }
}

/// A kind of record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// Of a connection request.
    Request,
    /// Of a connection in TIME-WAIT.
    TimeWait,
}

/// More is held than leaves room for all, since it was `more` until it is less than `less`.
const fn pressed(was: bool, held: usize, more: usize, less: usize) -> bool {
    held > more || (was && held >= less)
}

/// Says of one that was told that it can write among whom it was: when these have not written in time, what was kept for all
/// of them is for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant(NonZeroU32);

/// Room for those that were told that they can write and have not written yet.
#[derive(Clone, Copy, Debug)]
struct Grants {
    octets: usize,
    count: u32,
    last: Instant,
    current: Grant,
}

impl Grants {
    /// None, and those who had one before are told apart from those who get one.
    const fn after(Grant(number): Grant) -> Self {
        let next = match number.checked_add(1) {
            Some(next) => next,
            None => NonZeroU32::MIN,
        };
        Self { octets: 0, count: 0, last: Instant::ZERO, current: Grant(next) }
    }
}

/// The books of a stack. All figures are octets.
#[derive(Clone, Debug)]
pub struct Memory {
    budget: usize,
    send: usize,
    receive: usize,
    requests: usize,
    time_waits: usize,
    packets: usize,
    pressure: bool,
    send_pressure: bool,
    receive_pressure: bool,
    /// What those may send that were told of room, and have not sent yet.
    promised: usize,
    grants: Grants,
}

impl Memory {
    /// Nothing is held. A budget of less than [`LEAST`] counts as that; `None`: there is none, and no books are kept.
    pub fn new(budget: Option<usize>) -> Self {
        let budget = budget.map_or(usize::MAX, |octets| octets.max(LEAST));
        Self {
            budget,
            send: 0,
            receive: 0,
            requests: 0,
            time_waits: 0,
            packets: 0,
            pressure: false,
            send_pressure: false,
            receive_pressure: false,
            promised: 0,
            grants: Grants::after(Grant(NonZeroU32::MAX)),
        }
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
        self.send + self.receive + self.records() + self.packets
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
        self.requests + self.time_waits
    }

    /// Of that, packets that wait to leave.
    pub const fn packets(&self) -> usize {
        self.packets
    }

    /// Whether there is little left.
    pub const fn under_pressure(&self) -> bool {
        self.pressure
    }

    /// Whether there is little left for what programs write.
    pub const fn under_send_pressure(&self) -> bool {
        self.pressure || self.send_pressure
    }

    /// Whether there is little left for what peers send.
    pub const fn under_receive_pressure(&self) -> bool {
        self.receive_pressure
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

    const fn of(&mut self, kind: Record) -> &mut usize {
        match kind {
            Record::Request => &mut self.requests,
            Record::TimeWait => &mut self.time_waits,
        }
    }

    /// A record is made.
    pub fn add_record(&mut self, kind: Record, counters: &mut Counters) {
        if self.is_bounded() {
            *self.of(kind) += RECORD;
            self.judge(counters);
        }
    }

    /// A record is gone.
    pub fn remove_record(&mut self, kind: Record, counters: &mut Counters) {
        if self.is_bounded() {
            let held = self.of(kind);
            *held = held.saturating_sub(RECORD);
            self.judge(counters);
        }
    }

    /// Packets that wait hold so much that held `before`.
    pub fn charge_packets(&mut self, before: usize, now: usize, counters: &mut Counters) {
        if self.is_bounded() && before != now {
            self.packets = self.packets.saturating_sub(before).saturating_add(now);
            debug_assert!(self.packets <= self.budget / 8, "{self:?}");
            self.judge(counters);
        }
    }

    fn judge(&mut self, counters: &mut Counters) {
        let (held, eighth) = (self.held(), self.budget / 8);
        let before = self.pressure;
        self.pressure = pressed(before, held, self.budget / 2, eighth * 3);
        counters.tcp_memory_pressures += u64::from(self.pressure && !before);
        self.send_pressure = pressed(self.send_pressure, self.send, eighth * 2, eighth / 2 * 3);
        self.receive_pressure = pressed(self.receive_pressure, self.receive, self.budget / 2, eighth * 3);
    }

    const fn left(&self) -> usize {
        self.budget.saturating_sub(SLACK).saturating_sub(self.held())
    }

    /// The same without what is kept for those who could not write anything at all else.
    const fn left_to_most(&self) -> usize {
        self.left().saturating_sub(self.budget / 16)
    }

    /// Whether another request may be kept. Records in TIME-WAIT may have to make room.
    pub const fn has_room_for_request(&self) -> bool {
        self.requests + RECORD <= self.budget / 16 && self.left() >= RECORD
    }

    /// Whether another record may be made beside those there are.
    pub const fn has_room_for_record(&self) -> bool {
        self.records() + RECORD <= self.budget / 8 && self.left() >= RECORD
    }

    /// By how much what is written on a connection may grow where that holds `own`.
    pub fn room_to_send(&self, own: usize) -> usize {
        let taken = self.send.saturating_add(self.grants.octets);
        let all = if self.under_send_pressure() { 0 } else { (self.budget / 4).saturating_sub(taken) };
        let few = FLOOR.saturating_sub(own).min((self.budget / 2).saturating_sub(taken));
        let first = FIRST.saturating_sub(own).min((self.budget / 8 * 5).saturating_sub(taken));
        let granted = self.grants.octets;
        all.max(few)
            .min(self.left_to_most().saturating_sub(granted))
            .max(first.min(self.left().saturating_sub(granted)))
    }

    /// One that waited to write is told that it can, and `room` octets are kept for it for a moment.
    pub fn grant(&mut self, own: &mut Option<Grant>, room: usize, now: Instant) {
        self.use_grant(own);
        *own = Some(self.grants.current);
        self.grants.octets += room.min(FLOOR);
        self.grants.count += 1;
        self.grants.last = now;
    }

    /// It writes now, or never will.
    pub fn use_grant(&mut self, own: &mut Option<Grant>) {
        // If it is late, what was kept for it may be kept for another by now.
        if own.take() != Some(self.grants.current) {
            return;
        }
        let each = self.grants.octets.checked_div(self.grants.count as usize).unwrap_or(0);
        self.grants.octets -= each;
        self.grants.count = self.grants.count.saturating_sub(1);
    }

    /// Who has not written in the meantime has to ask again.
    pub fn expire_grants(&mut self, now: Instant) {
        if self.grants.count > 0 && now.saturating_since(self.grants.last) >= GRANT {
            self.grants = Grants::after(self.grants.current);
        }
    }

    /// When what is kept for those that were told that they can write is for others again.
    pub fn grants_expire(&self) -> Option<Instant> {
        (self.grants.count > 0).then(|| self.grants.last + GRANT)
    }

    /// By how much what is received may grow.
    pub fn room_to_receive(&self) -> usize {
        (self.budget / 4 * 3).saturating_sub(self.receive).min(self.left_to_most())
    }

    /// By how much what is kept out of order may grow.
    pub fn room_out_of_order(&self) -> usize {
        (self.budget / 2).saturating_sub(self.receive).min(self.left_to_most())
    }

    /// By how much packets that wait to leave may grow.
    pub fn room_for_packets(&self) -> usize {
        (self.budget / 8).saturating_sub(self.packets).min(self.left_to_most())
    }

    /// Whether one more of those that were told a window of zero may be told of room; if so, it is promised.
    pub fn promise(&mut self) -> bool {
        let answer = ANSWER.min(self.budget / 32);
        let room = !self.receive_pressure && self.room_out_of_order() >= self.promised.saturating_add(answer);
        self.promised += if room { answer } else { 0 };
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
        m.add_record(Record::Request, &mut c);
        assert_eq!((m.held(), m.budget()), (0, None));
        assert!(m.room_to_receive() > 1 << 60 && m.room_to_send(0) > 1 << 60 && m.has_room_for_record());
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
        m.add_record(Record::Request, &mut c);
        assert_eq!((m.records(), m.held()), (RECORD, 58 + RECORD));
        m.remove_record(Record::Request, &mut c);
        m.remove_record(Record::Request, &mut c);
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
        assert_eq!(m.room_to_send(8 << 20), 0);
        assert_eq!(m.room_to_receive(), (7 << 20) - SLACK, "what is left, but for a sixteenth");
        m.charge(&mut charge, 0, 12 << 20, &mut c);
        assert_eq!((m.room_to_receive(), m.room_out_of_order()), (0, 0));
        assert_eq!((m.room_to_send(0), m.room_for_packets()), (FLOOR, 2 << 20));
        while m.has_room_for_request() {
            m.add_record(Record::Request, &mut c);
        }
        assert_eq!(m.records(), (1 << 20) / RECORD * RECORD);
        while m.has_room_for_record() {
            m.add_record(Record::TimeWait, &mut c);
        }
        assert_eq!(m.records(), (2 << 20) / RECORD * RECORD);
        m.charge_packets(0, 1 << 20, &mut c);
        assert_eq!((m.packets(), m.held()), (1 << 20, (13 << 20) + m.records()));
        assert!(m.room_for_packets() < 1 << 20);
    }

    /// Few with much leave room for many with little, and those for who has nothing.
    #[test]
    fn who_has_written_little_may_write_on() {
        let (mut m, mut c) = books();
        let mut charges = [Charge::default(); 3];
        m.charge(&mut charges[0], 3 << 20, 0, &mut c);
        assert_eq!(m.room_to_send(3 << 20), 1 << 20);
        m.charge(&mut charges[0], (4 << 20) + 1, 0, &mut c);
        assert!(m.under_send_pressure() && !m.under_pressure());
        assert_eq!(
            (m.room_to_send(charges[0].send()), m.room_to_send(0), m.room_to_send(1000)),
            (0, FLOOR, FLOOR - 1000)
        );
        m.charge(&mut charges[1], 4 << 20, 0, &mut c);
        assert_eq!((m.room_to_send(2000), m.room_to_send(100), m.room_to_send(0)), (0, FIRST - 100, FIRST));
        m.charge(&mut charges[2], 2 << 20, 0, &mut c);
        assert_eq!(m.room_to_send(0), 0);
        m.charge(&mut charges[1], 0, 0, &mut c);
        m.charge(&mut charges[2], 0, 11 << 20, &mut c);
        assert_eq!((m.room_to_receive(), m.room_to_send(0)), (0, FIRST), "the last sixteenth is for those");
        m.charge(&mut charges[2], 0, 0, &mut c);
        m.charge(&mut charges[0], 3 << 20, 0, &mut c);
        assert!(m.under_send_pressure());
        m.charge(&mut charges[0], (3 << 20) - 1, 0, &mut c);
        assert!(!m.under_send_pressure());
    }

    #[test]
    fn room_is_kept_for_those_that_were_told_of_it() {
        let (mut m, mut c) = books();
        let mut charge = Charge::default();
        let now = Instant::from_secs(1);
        m.charge(&mut charge, (8 << 20) - 3 * FLOOR, 0, &mut c);
        let mut own = [None; 3];
        for (own, left) in own.iter_mut().zip([FLOOR, FLOOR, FIRST]) {
            m.grant(own, m.room_to_send(0), now);
            assert_eq!(m.room_to_send(0), left);
        }
        m.use_grant(&mut own[0]);
        assert_eq!(m.room_to_send(0), FLOOR);
        m.use_grant(&mut own[0]);
        assert_eq!(m.room_to_send(0), FLOOR, "only once");
        m.expire_grants(now);
        assert_eq!(m.grants.count, 2);
        m.expire_grants(now + GRANT);
        assert_eq!((m.grants.count, m.grants.octets), (0, 0));
        m.use_grant(&mut own[1]);
        assert_eq!((m.grants.count, m.grants.octets), (0, 0));
    }

    #[test]
    fn who_is_late_takes_nothing_off_what_is_kept_for_others() {
        let (mut m, mut late, mut other) = (books().0, None, None);
        let now = Instant::from_secs(1);
        m.grant(&mut late, 5000, now);
        m.expire_grants(now + GRANT);
        m.grant(&mut other, 6000, now + GRANT);
        m.use_grant(&mut late);
        assert_eq!((m.grants.count, m.grants.octets), (1, 6000));
        m.use_grant(&mut other);
        assert_eq!((m.grants.count, m.grants.octets), (0, 0));
    }

    #[test]
    fn what_was_not_used_is_given_back_before_more_is_granted() {
        let (mut m, mut own) = (books().0, None);
        for _ in 0..3 {
            m.grant(&mut own, 5000, Instant::from_secs(1));
            assert_eq!((m.grants.count, m.grants.octets), (1, 5000));
        }
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

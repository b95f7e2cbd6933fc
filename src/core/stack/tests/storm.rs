//! A million ACKs, most of them lies: blocks of what was and was not sent, reports of duplicates, reports taken back,
//! numbers of the past and of the future, windows that close, while timers run. The scoreboard has, octet by octet, what a
//! simple model has; it has no more records than there are segments; and when the peer at last turns honest it gets all that
//! it has not acknowledged yet, and the connection closes.

use alloc::collections::BTreeMap;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use self::model::Model;
use super::raw::{Raw, Sent};
use super::*;
use crate::addr::Quad;
use crate::seq::{Seq, SeqRange};
use crate::sockopt::SocketOptions;
use crate::tcp::congestion::Algorithm;
use crate::wire::options::{Options, SackBlocks, Timestamps};

mod model;

/// ACKs of one connection, and how many connections a test has: four tests of those are a million.
const ACKS: u32 = 12_500;
const CONNECTIONS: u64 = 20;

const MSS: u16 = 100;

/// Octets before the numbers of some wrap.
const WRAP: u32 = 50_000;

struct Storm {
    r: Raw,
    id: SocketId,
    rng: ChaCha8Rng,
    model: Model,
    timeouts: u64,
    /// Octets written, and acknowledged.
    written: u64,
    acknowledged: u64,
    fin: bool,
    clock: u32,
}

fn text(at: u64) -> u8 {
    (at ^ at >> 8 ^ at >> 16) as u8
}

impl Storm {
    fn new(congestion: Algorithm, timestamps: bool, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut r = Raw::new(Config::default());
        r.syn = Options { mss: Some(MSS), sack_permitted: true, ..Options::default() };
        r.clock = timestamps.then_some(1);
        r.window = 2_500;
        let wraps = seed.is_multiple_of(2);
        if wraps {
            // The numbers wrap on the way.
            let quad =
                Quad { local: Endpoint::new(v4(1), r.ports.0), remote: Endpoint::new(v4(2), r.ports.1) };
            let ahead = 0u32.wrapping_sub(WRAP).wrapping_sub(r.host.keys.isn(&quad, r.now).get());
            r.now += Duration::from_micros(4 * u64::from(ahead));
        }
        let id = r.accepted();
        let now = r.now;
        let options = r.host.options(id).unwrap();
        let options = SocketOptions { nodelay: rng.random(), congestion, ..options };
        r.host.set_options(id, options, now).unwrap();
        let model = Model::new(Seq::new(r.ack));
        assert!(!wraps || r.ack == 0u32.wrapping_sub(WRAP) + 1);
        Self { r, id, rng, model, timeouts: 0, written: 0, acknowledged: 0, fin: false, clock: 1 }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_ratio(1, n)
    }

    /// What leaves now.
    fn observe(&mut self) -> Vec<Sent> {
        let mut out = self.r.sent();
        let timeouts = self.r.host.counters().tcp_timeouts;
        let timed_out = timeouts != self.timeouts;
        self.timeouts = timeouts;
        if timed_out {
            self.model.timed_out();
        }
        out.retain(|s| !s.text.is_empty() || s.is(Flags::FIN));
        for s in &out {
            assert!(!s.is(Flags::RST), "a reset");
            let start = s.header.seq;
            let offset = self.acknowledged + u64::from(start.since(self.model.una));
            let right = s.text.iter().zip(offset..).all(|(&octet, at)| octet == text(at));
            assert!(right, "other octets than were written, at {offset}");
            let len = s.text.len() as u32 + u32::from(s.is(Flags::FIN));
            self.model.sent(SeqRange::with_len(start, len), self.r.now);
        }
        self.compare(!timed_out);
        out
    }

    fn compare(&mut self, by_order: bool) {
        let tcb = self.r.tcb(self.id);
        assert_eq!((tcb.snd.una, tcb.snd.nxt), (self.model.una, self.model.nxt()));
        self.model.compare(tcb.recovery.board(), by_order);
    }

    /// Time passes, timer by timer. Gives what left.
    fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.r.now + time;
        let mut out = self.observe();
        while let Some(next) = self.r.host.poll_timeout().filter(|&t| t <= end) {
            self.r.now = self.r.now.max(next);
            out.extend(self.observe());
        }
        self.r.now = end;
        out.extend(self.observe());
        out
    }

    fn write(&mut self) {
        let len = self.rng.random_range(1..1_000u64);
        let octets: Vec<u8> = (self.written..self.written + len).map(text).collect();
        let now = self.r.now;
        match self.r.host.try_write(self.id, &octets, now) {
            Ok(n) => self.written += n as u64,
            Err(error) => assert_eq!(error, Error::WouldBlock),
        }
    }

    /// An ACK with these blocks arrives.
    fn acknowledge(&mut self, ack: Seq, sack: SackBlocks) {
        let timestamps = self.r.clock.map(|value| Timestamps { value, echo: self.clock });
        let options = Options { timestamps, sack: sack.clone(), ..Options::default() };
        let before = self.r.tcb(self.id).snd.wnd;
        self.r.inject(self.r.seq, ack.get(), Flags::ACK, &[], &options);
        let snd = &self.r.tcb(self.id).snd;
        let (reopened, max_wnd) = (before == 0 && snd.wnd > 0, snd.max_wnd);
        let (una, nxt) = (self.model.una, self.model.nxt());
        let taken = ack.at_or_before(nxt) && una.saturating_since(ack) <= max_wnd;
        if taken {
            let duplicate = sack.first().is_some_and(|first| {
                let within = sack.get(1).is_some_and(|second| second.covers(first));
                first.start.before(first.end)
                    && ((first.start.before(ack) && first.end.at_or_before(ack)) || within)
            });
            let asked = una.max(ack);
            for block in sack.iter().skip(usize::from(duplicate)) {
                let sent =
                    block.start.at_or_after(asked) && block.start.before(nxt) && block.end.at_or_before(nxt);
                if sent && block.start.before(block.end) {
                    self.model.sack(*block);
                }
            }
            if ack.after(una) {
                self.acknowledged += u64::from(ack.since(una));
                self.model.acknowledge(ack);
            }
        }
        self.compare(!reopened);
    }

    /// Some number of what is in flight, mostly where a segment begins.
    fn place(&mut self) -> u32 {
        let len = self.model.len();
        let at = self.rng.random_range(0..=len);
        if self.one_in(4) {
            return at;
        }
        self.model.starts().take_while(|&start| start <= at).last().unwrap_or(len)
    }

    fn block(&mut self, ack: Seq) -> SeqRange {
        let una = self.model.una;
        match self.rng.random_range(0..20) {
            0..15 => {
                let (a, b) = (self.place(), self.place());
                SeqRange::new(una.add(a.min(b)), una.add(a.max(b)))
            }
            15..18 => {
                let start = ack.sub(self.rng.random_range(0..800));
                SeqRange::with_len(start, self.rng.random_range(0..400))
            }
            18 => SeqRange::new(
                una.sub(self.rng.random_range(0..100)),
                self.model.nxt().add(self.rng.random_range(0..100)),
            ),
            _ => SeqRange::new(Seq::new(self.rng.random()), Seq::new(self.rng.random())),
        }
    }

    /// Whatever an ACK may say.
    fn lie(&mut self) {
        let una = self.model.una;
        let ack = match self.rng.random_range(0..100) {
            0..50 => una,
            50..88 => {
                let most = self.rng.random_range(0..600);
                una.add(self.place().min(most))
            }
            88..96 => una.sub(self.rng.random_range(0..3_000)),
            96..98 => self.model.nxt().add(self.rng.random_range(0..3)),
            _ => Seq::new(self.rng.random()),
        };
        // A guess that hits what is in flight is an ACK like any other.
        let blocks = self.rng.random_range(0..if self.r.clock.is_some() { 4 } else { 5 });
        let mut sack: SackBlocks = (0..blocks).map(|_| self.block(ack)).collect();
        if sack.len() > 1 && self.one_in(10) {
            // A duplicate within a block.
            sack[0] = SeqRange::new(sack[1].start, sack[1].start.add(self.rng.random_range(0..200)));
        }
        if self.one_in(40) {
            self.r.window = [0, 0, 50, 300, 1_000, 2_500][self.rng.random_range(0..6)];
        } else if self.one_in(20) {
            self.r.window = 2_500;
        }
        if let Some(value) = &mut self.r.clock {
            *value += self.rng.random_range(0..3);
            self.clock = match self.rng.random_range(0..3) {
                0 => self.rng.random(),
                1 => 0,
                _ => self.clock,
            };
        }
        self.acknowledge(ack, sack);
    }

    fn rage(&mut self) {
        for _ in 0..ACKS {
            if self.one_in(3) {
                self.write();
            }
            let millis = match self.rng.random_range(0..100) {
                0..60 => 0,
                60..97 => self.rng.random_range(0..30),
                97..99 => self.rng.random_range(0..400),
                _ => self.rng.random_range(0..3_000),
            };
            let sent = self.pass(Duration::from_millis(millis));
            if let Some(stamp) = sent.last().and_then(|s| s.options.timestamps) {
                self.clock = stamp.value;
            }
            self.lie();
        }
    }

    /// The peer turns honest: it takes what comes, and says so.
    fn calm(&mut self) {
        let (id, now) = (self.id, self.r.now);
        self.r.window = 2_500;
        self.r.host.shutdown(id, Shutdown::Write, now).unwrap();
        let (mut held, limit) = (BTreeMap::new(), self.r.now + Duration::from_secs(3_600));
        let mut next = self.model.una;
        self.acknowledge(next, SackBlocks::new());
        let mut wait = Duration::from_millis(20);
        while !self.fin {
            assert!(
                self.r.now < limit,
                "stuck at {next} of {}: {:?}",
                self.model.nxt(),
                self.r.tcb(id).recovery
            );
            for s in self.pass(wait) {
                let end = s.header.seq.add(s.text.len() as u32);
                held.insert(s.header.seq.get(), (end, s.is(Flags::FIN)));
                let found = |held: &BTreeMap<u32, (Seq, bool)>, next: Seq| {
                    let mut all = held.iter().map(|(&start, &(end, fin))| (Seq::new(start), end, fin));
                    all.find(|&(start, end, fin)| {
                        start.at_or_before(next) && (end.after(next) || fin && end == next)
                    })
                };
                while let Some((_, end, fin)) = found(&held, next) {
                    next = end.add(u32::from(fin));
                    self.fin |= fin;
                    held.retain(|_, &mut (end, fin)| end.add(u32::from(fin)).after(next));
                }
                let ahead = |(&start, &(end, fin)): (&u32, &(Seq, bool))| {
                    SeqRange::new(Seq::new(start), end.add(u32::from(fin)))
                };
                let sack: SackBlocks =
                    held.iter().map(ahead).filter(|b| b.start.after(next)).take(3).collect();
                self.acknowledge(next, sack);
            }
            wait = Duration::from_millis(20);
        }
        assert_eq!(self.acknowledged, self.written + 1, "all octets, and the FIN");
        assert!(self.written > 2 * u64::from(WRAP), "{}", self.written);
        assert_eq!(self.r.state(id), State::FinWait2);
        let (seq, ack) = (self.r.seq, next.get());
        let timestamps = self.r.clock.map(|value| Timestamps { value, echo: self.clock });
        self.r.inject(seq, ack, Flags::ACK | Flags::FIN, &[], &Options { timestamps, ..Options::default() });
        assert_eq!(self.r.state(id), State::TimeWait);
    }
}

fn storm(algorithm: Algorithm, timestamps: bool) {
    for seed in 0..CONNECTIONS {
        let mut storm = Storm::new(algorithm, timestamps, seed);
        storm.rage();
        storm.calm();
        let counters = storm.r.host.counters();
        assert!(counters.tcp_timeouts > 0 && counters.tcp_sack_recovery > 0, "it was no storm");
    }
}

#[test]
fn reno_weathers_it() {
    storm(Algorithm::Reno, false);
}

#[test]
fn reno_weathers_it_with_timestamps() {
    storm(Algorithm::Reno, true);
}

#[test]
fn cubic_weathers_it() {
    storm(Algorithm::Cubic, false);
}

#[test]
fn cubic_weathers_it_with_timestamps() {
    storm(Algorithm::Cubic, true);
}

//! How two flows of CUBIC share a link by RFC 9438: a plain model that has nothing of the stack.
//!
//! Two windows over a link with a drop-tail queue of one bandwidth-delay product, as in [`sharing`](crate::sharing): what is
//! lost is known to be lost when three later packets have come. Where minutes of the stack are no farther from half than the
//! model's, that is CUBIC's own: which flow's packets find the queue full is chance, and the one that loses has less until the
//! other does.
//!
//! How the model's minutes are stands in `tests/sim/cubic-model.txt`. Flows that begin as equals stay so over 100 Mbit/s and
//! 100 ms, which says nothing of how fast others become it. All of it takes some ten seconds:
//!
//! ```text
//! UPDATE=1 cargo test --release --test sim -- cubic_model      writes the table anew
//! FULL=1 cargo test --release --test sim -- cubic_model        compares all of it
//! ```
//!
//! Without either only the slower link is run.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

use crate::congestion_grid::each;

const TABLE: &str = "tests/sim/cubic-model.txt";
const STACK: &str = "tests/sim/sharing.txt";
/// The row of the stack that is held to the model's minutes after the first. Medians of 101 runs are chance still, of either:
/// other seeds made of the 13.3 and 13.7 of the model 15.3 and 10.7, and 11.5 and 13.1.
const HELD: &str = "cubic  100 Mbit/s  40 ms";

const MBITS: [u64; 2] = [10, 100];
const ROUND_TRIPS_MS: [u64; 3] = [20, 40, 100];
const MINUTES: usize = 3;

const OCTETS: u64 = 1500;
/// All times are in nanoseconds.
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// RFC 9438 §4.6.
const BETA: f64 = 0.7;
/// §5.1, in segments per second to the third.
const C: f64 = 0.4;
/// α_cubic, for the average window that Reno would have (§4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// CUBIC's window in congestion avoidance. Windows in segments.
struct Cubic {
    cwnd: f64,
    cwnd_prior: f64,
    w_max: f64,
    w_est: f64,
    /// t_epoch and K, in seconds, of the present stage: none until the first acknowledgment after a reduction is over.
    stage: Option<(u64, f64)>,
}

impl Cubic {
    /// Slow start ended here without a loss: W_max and cwnd_prior are the window, which makes K = 0 (§4.10).
    fn new(cwnd: f64) -> Self {
        Self { cwnd, cwnd_prior: cwnd, w_max: cwnd, w_est: cwnd, stage: None }
    }

    /// Growth for one segment acknowledged: where an acknowledgment tells of two it counts twice, as it does in W_est (§4.3). §4.4
    /// and §4.5 say once for each acknowledgment, which is slower where these are delayed; the stack counts so, too.
    fn grow(&mut self, now: u64, rtt: f64) {
        let (epoch, k) = self.stage.unwrap_or_else(|| {
            self.w_est = self.cwnd;
            // §4.2, figure 2. To the nanosecond, as the last digits of a cube root are not the same on each platform.
            let k = ((self.w_max - self.cwnd).max(0.0) / C).cbrt();
            (now, (k * SECOND as f64).round() / SECOND as f64)
        });
        self.stage = Some((epoch, k));
        // §4.3, figure 4; from cwnd_prior on as fast as Reno.
        self.w_est += if self.w_est >= self.cwnd_prior { 1.0 } else { ALPHA } / self.cwnd;
        // §4.2, figure 1.
        let w_cubic = |t: f64| C * (t - k) * (t - k) * (t - k) + self.w_max;
        let t = (now - epoch) as f64 / SECOND as f64;
        if w_cubic(t) < self.w_est {
            self.cwnd = self.w_est;
        } else {
            // §4.2 bounds the target: no window shrinks here, or grows as in slow start. Growth is that of §4.4 and §4.5.
            let target = w_cubic(t + rtt).clamp(self.cwnd, 1.5 * self.cwnd);
            self.cwnd += (target - self.cwnd) / self.cwnd;
        }
    }

    fn reduce(&mut self) {
        // §4.7, before the reduction: a flow that did not come as far as last time leaves room to others.
        self.w_max = if self.cwnd < self.w_max { self.cwnd * (1.0 + BETA) / 2.0 } else { self.cwnd };
        // §4.6, figure 5; the window is always in flight.
        self.cwnd_prior = self.cwnd;
        self.cwnd = (self.cwnd * BETA).max(2.0);
        self.stage = None;
    }
}

#[derive(Clone, Copy)]
struct Packet {
    number: u64,
    sent: u64,
    /// When it comes to the queue.
    due: u64,
}

/// A flow that has always more to send. What is lost is not sent again: new packets do as well.
struct Flow {
    cubic: Cubic,
    next: u64,
    /// The numbers of packets in flight, and how many later ones have arrived.
    in_flight: VecDeque<(u64, u8)>,
    /// Not at the queue yet.
    under_way: VecDeque<Packet>,
    latest: u64,
    /// What was sent before this number belongs to the last reduction: there is one in a round trip (§4.6, RFC 6675 §5).
    recover: u64,
    unanswered: bool,
    /// SRTT, in seconds.
    rtt: f64,
}

impl Flow {
    fn new(window: f64, trip: u64) -> Self {
        Self {
            cubic: Cubic::new(window),
            next: 0,
            in_flight: VecDeque::new(),
            under_way: VecDeque::new(),
            latest: 0,
            recover: 0,
            unanswered: false,
            rtt: trip as f64 / SECOND as f64,
        }
    }

    /// Sends what the window lets. Packets come up to `jitter` late, in their order: else phases decide (Floyd and Jacobson 1992).
    fn send(&mut self, now: u64, jitter: u64, rng: &mut ChaCha12Rng) {
        while self.in_flight.len() as f64 + 1.0 <= self.cubic.cwnd {
            self.latest = self.latest.max(now + rng.next_u64() % jitter);
            self.under_way.push_back(Packet { number: self.next, sent: now, due: self.latest });
            self.in_flight.push_back((self.next, 0));
            self.next += 1;
        }
    }

    /// Hears that `packet` has arrived. True if that lets it send: each second packet is acknowledged, and each where some
    /// are missing (RFC 5681 §4.2).
    fn hear(&mut self, packet: Packet, now: u64) -> bool {
        // All that is in flight and was sent earlier has been overtaken, as order is kept.
        let place = self.in_flight.partition_point(|(number, _)| *number < packet.number);
        self.in_flight.remove(place);
        self.in_flight.iter_mut().take(place).for_each(|(_, later)| *later += 1);
        // RFC 6675 §2: DupThresh.
        while let Some((lost, _)) = self.in_flight.pop_front_if(|(_, later)| *later >= 3) {
            if lost >= self.recover {
                self.recover = self.next;
                self.cubic.reduce();
            }
        }
        // RFC 6298 §2.3.
        self.rtt += ((now - packet.sent) as f64 / SECOND as f64 - self.rtt) / 8.0;
        let recovering = packet.number < self.recover;
        if !recovering {
            self.cubic.grow(now, self.rtt);
        }
        self.unanswered = !self.unanswered && !recovering && place == 0;
        !self.unanswered
    }
}

#[derive(Clone, Copy)]
struct Cell {
    mbits: u64,
    trip_ms: u64,
}

impl Cell {
    fn all() -> impl Iterator<Item = Self> {
        MBITS.into_iter().flat_map(|mbits| ROUND_TRIPS_MS.map(|trip_ms| Self { mbits, trip_ms }))
    }

    fn name(self) -> String {
        format!("cubic {:>4} Mbit/s {:>3} ms", self.mbits, self.trip_ms)
    }

    fn seeds(self) -> u64 {
        if self.name() == HELD { 101 } else { 31 }
    }

    /// How far from half shares are in each minute from the second's beginning on, in per cent of that half.
    fn off(self, seed: u64) -> [f64; MINUTES] {
        let (trip, packet_time) = (self.trip_ms * SECOND / 1000, OCTETS * 8 * 1000 / self.mbits);
        // Runs begin in the middle of so many parts of a round trip.
        let apart = trip * (2 * seed - 1) / (2 * self.seeds());
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        // Together they fill the path and leave the queue empty.
        let half = trip as f64 / packet_time as f64 / 2.0;
        let mut flows = [0, apart].map(|begins| {
            let mut flow = Flow::new(half, trip);
            flow.send(begins, packet_time, &mut rng);
            flow
        });
        let (mut free, mut heard) = (0, VecDeque::<(u64, usize, Packet)>::new());
        let mut received = [[0_u32; 2]; MINUTES];
        loop {
            let due = |flow: &Flow| flow.under_way.front().map_or(u64::MAX, |packet| packet.due);
            let from = usize::from(due(&flows[1]) < due(&flows[0]));
            if let Some((now, to, packet)) = heard.pop_front_if(|(now, ..)| *now <= due(&flows[from])) {
                if now >= apart {
                    let Some(counts) = received.get_mut(((now - apart) / MINUTE) as usize) else { break };
                    counts[to] += 1;
                }
                let flow = &mut flows[to];
                if flow.hear(packet, now) {
                    flow.send(now, packet_time, &mut rng);
                }
            } else {
                let packet = flows[from].under_way.pop_front().expect("no flow stands still for ever");
                // The queue holds what the link sends in one round trip.
                if packet.due + trip >= free {
                    free = packet.due.max(free) + packet_time;
                    heard.push_back((free + trip, from, packet));
                }
            }
        }
        let off = |[a, b]: [u32; 2]| 100.0 * f64::from(a.abs_diff(b)) / f64::from(a + b);
        received.map(off)
    }
}

fn heading() -> String {
    format!(
        "Two flows of CUBIC as RFC 9438 has it, in a model that has nothing of the stack, over one link whose queue holds one\n\
         bandwidth-delay product; packets of {OCTETS} octets come up to the time of one of them late. Both begin with half a product,\n\
         beginnings spread over the round trip: 101 runs over 100 Mbit/s and 40 ms, and 31 of the others. How far from half shares\n\
         are in each of {MINUTES} minutes, in % of that half: the median, and the farthest.\n\n\
         alg.    rate       trip  minute     off    max\n"
    )
}

/// The rows of these paths.
fn run(cells: &[Cell]) -> Vec<String> {
    let runs: Vec<_> = cells.iter().flat_map(|cell| (1..=cell.seeds()).map(|seed| (*cell, seed))).collect();
    let mut all = each(&runs, |(cell, seed)| cell.off(*seed)).into_iter();
    let mut rows = Vec::new();
    for cell in cells {
        let runs: Vec<_> = all.by_ref().take(cell.seeds() as usize).collect();
        for minute in 0..MINUTES {
            let mut off: Vec<_> = runs.iter().map(|run| run[minute]).collect();
            off.sort_by(f64::total_cmp);
            let (median, most) = (off[off.len() / 2], off[off.len() - 1]);
            rows.push(format!("{} {:>7} {median:>7.1} {most:>6.1}", cell.name(), minute + 1));
        }
    }
    rows
}

/// The medians of the rows of a table that begin so: the last column but one.
fn medians(table: &str, begin: &str) -> Vec<f64> {
    let rows = table.lines().filter(|row| row.starts_with(begin));
    rows.map(|row| row.rsplit(' ').filter(|word| !word.is_empty()).nth(1).unwrap().parse().unwrap()).collect()
}

/// The model's minutes are those of the table; over the path where they are farthest from half, the stack's are no farther.
#[test]
fn cubic_model() {
    let [path, stack] = [TABLE, STACK].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
    let [update, full] = ["UPDATE", "FULL"].map(|name| std::env::var_os(name).is_some());
    let all: Vec<_> = Cell::all().collect();
    let rows = run(if update || full { &all } else { &all[..ROUND_TRIPS_MS.len()] });
    if update {
        let table = rows.iter().fold(heading(), |table, row| table + row + "\n");
        std::fs::write(&path, table).expect("the table can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let old: Vec<_> = known.strip_prefix(&heading()).unwrap_or_default().lines().collect();
    assert_eq!(old.len(), all.len() * MINUTES, "not the heading, or not as many rows, in {TABLE}");
    let mut wrong = String::new();
    for row in rows.iter().filter(|row| !old.contains(&row.as_str())) {
        let _ = write!(wrong, "\n+ {row}");
    }
    assert!(wrong.is_empty(), "not in {TABLE}; if that is meant, run with UPDATE=1 and --release{wrong}");

    let model = medians(&known, HELD);
    let stack = medians(&std::fs::read_to_string(stack).unwrap(), &format!("settled  {HELD}"));
    assert_eq!((model.len(), stack.len()), (MINUTES, 1), "minutes of the model and rows of the stack");
    let settled = model[1..].iter().sum::<f64>() / (MINUTES - 1) as f64;
    assert!(stack[0] <= settled, "{} % off half in {STACK}, more than {settled:.1}, by {TABLE}", stack[0]);
}

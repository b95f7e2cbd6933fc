//! Two stacks joined by a queue, in one thread, checksums off: ours and smoltcp's, alternated.
//!
//! `cargo bench -p tunstack-benches --bench two_stacks [-- SECONDS [ROW [KIB BATCH]]]`, with ROW the number of the only one to run,
//! each way, with buffers of so many KiB and batches of so many packets.
//!
//! Both run the same loop: the sender writes all it can, at most a batch of packets goes through the queue, the
//! receiver reads all there is, and its ACKs go back; the clock is read once a turn. Each packet is copied once, into
//! memory of the queue that is used again; with ours it is tried, too, that the receiver keeps that memory, in place of copying
//! out of it as smoltcp's does, and that long text is not copied at all: the queue has references to where it lies with the
//! sender. What the best buffers and the best batch are is tried first, for each stack and row by itself; then all
//! rows run in turn, five times, and the medians count.

mod ours;

mod theirs;

use std::error::Error;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tunstack_benches::{Passage, Setting, Way};

const ROUNDS: usize = 5;

/// Sizes of buffers, octets, and of batches, packets, of which the fastest pair is taken.
const BUFFERS: [u32; 4] = [128 << 10, 256 << 10, 1 << 20, 4 << 20];
const BATCHES: [usize; 5] = [1, 4, 16, 64, 128];

const fn in_words(passage: Passage) -> &'static str {
    match passage {
        Passage::Copied => "copied",
        Passage::Kept => "kept",
        Passage::Lent => "by reference",
    }
}

/// Octets moved, packets that carried them, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    octets: u64,
    packets: u64,
    time: Duration,
}

impl Moved {
    fn speed(&self) -> f64 {
        self.octets as f64 / self.time.as_secs_f64()
    }

    fn nanos_a_packet(&self) -> f64 {
        self.time.as_nanos() as f64 / self.packets.max(1) as f64
    }
}

/// One way to move octets.
#[derive(Clone, Copy, Debug)]
enum Runner {
    Smoltcp { mtu: usize },
    Ours { mtu: u16, segmentation: u32, way: Way },
}

/// How it is run.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Octets of each buffer.
    buffers: u32,
    /// Packets of a turn at the most.
    batch: usize,
    /// How packets get through the queue.
    passage: Passage,
}

impl Runner {
    fn run(self, shape: Shape, time: Duration) -> Result<Moved, Box<dyn Error>> {
        let Shape { buffers, batch, passage } = shape;
        match self {
            Self::Smoltcp { mtu } => theirs::run(mtu, buffers as usize, batch, time),
            Self::Ours { mtu, segmentation, way } => {
                ours::run(Setting { mtu, segmentation, buffers, passage }, way, batch, time)
            }
        }
    }

    const fn passages(self) -> &'static [Passage] {
        match self {
            Self::Smoltcp { .. } => &[Passage::Copied],
            Self::Ours { .. } => &[Passage::Lent, Passage::Kept, Passage::Copied],
        }
    }

    fn best(self, time: Duration) -> Result<Shape, Box<dyn Error>> {
        let mut best = (Shape { buffers: 0, batch: 0, passage: Passage::Copied }, 0.0);
        for &passage in self.passages() {
            for buffers in BUFFERS {
                for batch in BATCHES {
                    let shape = Shape { buffers, batch, passage };
                    let speed = self.run(shape, time)?.speed();
                    if speed > best.1 {
                        best = (shape, speed);
                    }
                }
            }
        }
        Ok(best.0)
    }
}

/// What is run, beside which of the rows above it stands, and the ratio that is asked of it.
const ROWS: [(&str, Runner, usize, f64); 7] = [
    ("smoltcp, MTU 1500", Runner::Smoltcp { mtu: 1500 }, 0, 1.0),
    ("ours, MTU 1500, read/write", ours(1500, 0, Way::Copied), 0, 1.3),
    ("ours, MTU 1500, read_bytes/write_bytes", ours(1500, 0, Way::Lent), 0, 1.3),
    ("smoltcp, MTU 65535", Runner::Smoltcp { mtu: 65_535 }, 3, 1.0),
    ("ours, MTU 65535, read/write", ours(65_535, 0, Way::Copied), 3, 1.8),
    ("ours, MTU 1500 in packets of 64 KiB, read/write", ours(1500, 65_535, Way::Copied), 3, 1.8),
    ("ours, MTU 1500 in packets of 64 KiB, read_bytes/write_bytes", ours(1500, 65_535, Way::Lent), 3, 3.0),
];

const fn ours(mtu: u16, segmentation: u32, way: Way) -> Runner {
    Runner::Ours { mtu, segmentation, way }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().filter_map(|a| a.parse::<f64>().ok());
    let time = Duration::from_secs_f64(numbers.next().unwrap_or(0.5));
    if let Some(row) = numbers.next() {
        let (name, runner, ..) = ROWS.get(row as usize).ok_or("there is no such row")?;
        let (kib, batch) = (numbers.next().unwrap_or(256.0), numbers.next().unwrap_or(16.0));
        for &passage in runner.passages() {
            let shape = Shape { buffers: (kib as u32) << 10, batch: batch as usize, passage };
            let moved = runner.run(shape, time)?;
            println!(
                "{name}, {}: {:.2} GB/s, {:.0} ns/packet",
                in_words(passage),
                moved.speed() / 1e9,
                moved.nanos_a_packet()
            );
        }
        return Ok(());
    }
    let mut best = Vec::new();
    for (_, runner, ..) in ROWS {
        best.push(runner.best(time / 10)?);
    }
    let mut runs = vec![Vec::new(); ROWS.len()];
    for _ in 0..ROUNDS {
        for ((runs, (_, runner, ..)), best) in runs.iter_mut().zip(ROWS).zip(&best) {
            runs.push(runner.run(*best, time)?);
        }
    }
    let medians: Vec<Moved> = runs.iter_mut().map(|runs| median(runs)).collect();
    println!(
        "{:60} {:>8} {:>10} {:>6} {:>6} {:>9}  buffers, batch, packets in the queue",
        "", "GB/s", "ns/packet", "ratio", "asked", "to first"
    );
    for (((name, _, beside, asked), moved), shape) in ROWS.iter().zip(&medians).zip(&best) {
        let ratio = moved.speed() / medians[*beside].speed();
        let to_first = moved.speed() / medians[0].speed();
        println!(
            "{name:60} {:8.2} {:10.0} {ratio:6.2} {asked:6.1} {to_first:9.2}  {} KiB, {}, {}",
            moved.speed() / 1e9,
            moved.nanos_a_packet(),
            shape.buffers >> 10,
            shape.batch,
            in_words(shape.passage),
        );
    }
    Ok(())
}

fn median(runs: &mut [Moved]) -> Moved {
    runs.sort_by(|a, b| a.speed().total_cmp(&b.speed()));
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}

/// What the thread has computed for.
fn computed() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Octets that are moved before anything is measured, and between two looks at the clock of the thread.
const WARM: usize = 8 << 20;
const STRETCH: usize = 4 << 20;

/// Turns of a loop, until the time is over.
fn measure(
    time: Duration,
    mut turn: impl FnMut(Instant) -> Result<(usize, usize), Box<dyn Error>>,
) -> Result<Moved, Box<dyn Error>> {
    let mut stretch = |least: usize| -> Result<(usize, usize), Box<dyn Error>> {
        let mut moved = (0, 0);
        while moved.0 < least {
            let (octets, packets) = turn(Instant::now())?;
            moved = (moved.0 + octets, moved.1 + packets);
        }
        Ok(moved)
    };
    stretch(WARM)?;
    let mut moved = Moved::default();
    let began = computed();
    while moved.time < time {
        let (octets, packets) = stretch(STRETCH)?;
        moved.octets += octets as u64;
        moved.packets += packets as u64;
        moved.time = computed().saturating_sub(began);
    }
    Ok(moved)
}

//! One direction of a link: what becomes of each packet, decided when it is offered.
//!
//! ```text
//!             ┌── queue ──┐     ┌─ rate ─┐   ┌────────────── the wire ──────────────┐
//!  offer ──►  │ │ │ │ │ │ │ ──► │ serial │ ──► loss, corruption, duplicates, delay,  ──► arrival
//!             └───────────┘     └────────┘   │ jitter, reordering                    │
//!              full: dropped                 └───────────────────────────────────────┘
//! ```
//!
//! A queue that is served in order needs no events of its own: when a packet comes, the time at which it
//! will be on the wire is known, and with it what a managed queue ([`Aqm`]) makes of it.

use std::collections::VecDeque;
use std::fmt;

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use tunstack_core::time::{Duration, Instant};
use tunstack_core::wire::ip::Ecn;

pub use super::aqm::Aqm;
use super::aqm::{self, Judgement};
pub use super::profile::{BurstLoss, LinkConfig, ParseLinkError, QueueLimit};

/// One direction of a link.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    rng: ChaCha12Rng,
    queue: Queue,
    bad: bool,
    last_arrival: Instant,
    stats: LinkStats,
}

/// What a link did, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkStats {
    /// Packets offered.
    pub offered: u64,
    /// Their octets.
    pub offered_octets: u64,
    /// Packets that arrive, each duplicate counted too.
    pub delivered: u64,
    /// Their octets.
    pub delivered_octets: u64,
    /// Lost by [`LinkConfig::loss`].
    pub lost: u64,
    /// Lost by [`LinkConfig::burst`].
    pub lost_in_burst: u64,
    /// Dropped: no room in the queue.
    pub queue_full: u64,
    /// Dropped by [`LinkConfig::aqm`].
    pub managed: u64,
    /// Marked by [`LinkConfig::aqm`]: congestion experienced.
    pub marked: u64,
    /// Dropped: larger than [`LinkConfig::mtu`].
    pub too_big: u64,
    /// Dropped as a [`Fault`] said.
    pub scripted: u64,
    /// Arrive twice.
    pub duplicated: u64,
    /// Arrive with a bit flipped.
    pub corrupted: u64,
    /// Held back so that later ones overtake them.
    pub reordered: u64,
    /// How long those that were not dropped before the link waited for their turn, summed up.
    pub waited: Duration,
    /// The most octets that ever waited.
    pub max_queue_bytes: u64,
    /// The most packets that ever waited.
    pub max_queue_packets: u64,
}

/// Something to happen to one packet on top of what the configuration does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It is held back by so much, and later ones overtake it.
    Hold(Duration),
    /// It arrives twice.
    Duplicate,
    /// The bit with this number is flipped, counted from the highest bit of the first octet, modulo the
    /// length.
    Flip(u32),
}

/// Why a packet does not arrive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Loss {
    /// By chance.
    Random,
    /// By chance, in a bad time of the link.
    Burst,
    /// The queue before the link was full.
    QueueFull,
    /// The queue before the link is managed, and had grown.
    Managed,
    /// Larger than the link's MTU.
    TooBig,
    /// As the scenario says.
    Scripted,
}

/// What becomes of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fate {
    /// Why it does not arrive; `None`: it does.
    pub loss: Option<Loss>,
    /// When it arrives, if it does.
    pub arrival: Instant,
    /// How long it waits in the queue before its turn comes; zero where there was no room for it.
    pub waited: Duration,
    /// Held back by so much.
    pub held: Duration,
    /// Arrives twice, one directly after the other.
    pub duplicated: bool,
    /// Arrives with CE, which the queue has set.
    pub marked: bool,
    /// The bit that is flipped, counted from the highest bit of the first octet.
    pub flipped: Option<u32>,
}

/// The random numbers of one packet: one 64-octet block of ChaCha. All are drawn for every packet, whatever
/// the configuration, so that a change of one probability does not shift the others' numbers.
struct Draws {
    loss: u64,
    state: u64,
    burst: u64,
    jitter: u64,
    reorder: u64,
    duplicate: u64,
    corrupt: u64,
    bit: u64,
}

impl Draws {
    fn new(rng: &mut ChaCha12Rng) -> Self {
        Self {
            loss: rng.next_u64(),
            state: rng.next_u64(),
            burst: rng.next_u64(),
            jitter: rng.next_u64(),
            reorder: rng.next_u64(),
            duplicate: rng.next_u64(),
            corrupt: rng.next_u64(),
            bit: rng.next_u64(),
        }
    }
}

/// Whether a draw says yes to something of this probability.
fn happens(draw: u64, probability: f64) -> bool {
    // 2^-64 a step: 1 is always yes, 0 never.
    (draw as f64) * 2f64.powi(-64) < probability
}

/// A number below `n`, from a draw.
fn below(draw: u64, n: u64) -> u64 {
    ((u128::from(draw) * u128::from(n)) >> 64) as u64
}

impl Link {
    /// A link that draws its chances from `rng`.
    ///
    /// # Panics
    /// If the configured rate is 0.
    pub fn new(config: LinkConfig, rng: ChaCha12Rng) -> Self {
        let mut link = Self {
            config: LinkConfig::PERFECT,
            rng,
            queue: Queue::default(),
            bad: false,
            last_arrival: Instant::ZERO,
            stats: LinkStats::default(),
        };
        link.set_config(config);
        link
    }

    /// A link with a seed of its own.
    ///
    /// # Panics
    /// As [`Link::new`].
    pub fn with_seed(config: LinkConfig, seed: u64) -> Self {
        Self::new(config, ChaCha12Rng::seed_from_u64(seed))
    }

    /// How it treats packets.
    pub const fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Treats later packets otherwise; those under way keep their times.
    ///
    /// # Panics
    /// If the rate is 0: such a link would carry nothing, which is what a loss of 1 is for.
    pub fn set_config(&mut self, config: LinkConfig) {
        assert_ne!(config.rate_bps, Some(0), "a link's rate is 0");
        self.config = config;
    }

    /// What it did so far.
    pub const fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// Takes a packet at `now`, which never goes back from call to call, and gives what arrives and when:
    /// nothing, the packet or two of it.
    pub fn offer(&mut self, now: Instant, packet: Vec<u8>) -> Deliveries {
        let ecn = aqm::ecn_of(&packet);
        self.decide_for(now, packet.len(), ecn, None).apply(packet)
    }

    /// Decides what becomes of a packet of `len` octets, which counts as offered; [`Fate::apply`] then makes
    /// it so. `fault` happens beside what chance has in store.
    pub fn decide(&mut self, now: Instant, len: usize, fault: Option<Fault>) -> Fate {
        self.decide_for(now, len, Ecn::NotEct, fault)
    }

    /// The same for a packet with this ECN field.
    pub fn decide_for(&mut self, now: Instant, len: usize, ecn: Ecn, fault: Option<Fault>) -> Fate {
        let draws = Draws::new(&mut self.rng);
        let octets = len as u64;
        self.stats.offered += 1;
        self.stats.offered_octets += octets;
        let mut fate = Fate {
            loss: None,
            arrival: now,
            waited: Duration::ZERO,
            held: Duration::ZERO,
            duplicated: false,
            marked: false,
            flipped: None,
        };

        if self.config.mtu.is_some_and(|mtu| len > usize::from(mtu)) {
            return self.lose(fate, Loss::TooBig);
        }
        let turn = self.queue.free_at;
        let (sent, judgement) = match self.queue.admit(now, octets, ecn, &self.config) {
            None => return self.lose(fate, Loss::QueueFull),
            Some(admitted) => admitted,
        };
        if judgement == Judgement::Drop {
            return self.lose(fate, Loss::Managed);
        }
        fate.waited = turn.saturating_since(now);
        self.stats.waited += fate.waited;
        fate.marked = judgement == Judgement::Mark;
        self.stats.marked += u64::from(fate.marked);
        self.stats.max_queue_bytes = self.stats.max_queue_bytes.max(self.queue.bytes);
        self.stats.max_queue_packets = self.stats.max_queue_packets.max(self.queue.waiting.len() as u64);

        // From here on the packet is on the wire: lost or not, it has taken its time there.
        let in_burst = self.burst_loss(&draws);
        if fault == Some(Fault::Drop) {
            return self.lose(fate, Loss::Scripted);
        }
        if in_burst {
            return self.lose(fate, Loss::Burst);
        }
        if happens(draws.loss, self.config.loss) {
            return self.lose(fate, Loss::Random);
        }
        self.arrive(&mut fate, sent, &draws, fault);
        if fault == Some(Fault::Duplicate) || happens(draws.duplicate, self.config.duplicate) {
            fate.duplicated = true;
            self.stats.duplicated += 1;
        }
        let bits = (octets * 8).max(1);
        fate.flipped = match fault {
            Some(Fault::Flip(bit)) => Some((u64::from(bit) % bits) as u32),
            _ => happens(draws.corrupt, self.config.corrupt).then(|| below(draws.bit, bits) as u32),
        };
        self.stats.corrupted += u64::from(fate.flipped.is_some());
        let copies = 1 + u64::from(fate.duplicated);
        self.stats.delivered += copies;
        self.stats.delivered_octets += copies * octets;
        fate
    }

    fn lose(&mut self, fate: Fate, loss: Loss) -> Fate {
        *match loss {
            Loss::Random => &mut self.stats.lost,
            Loss::Burst => &mut self.stats.lost_in_burst,
            Loss::QueueFull => &mut self.stats.queue_full,
            Loss::Managed => &mut self.stats.managed,
            Loss::TooBig => &mut self.stats.too_big,
            Loss::Scripted => &mut self.stats.scripted,
        } += 1;
        Fate { loss: Some(loss), ..fate }
    }

    fn burst_loss(&mut self, draws: &Draws) -> bool {
        let Some(burst) = self.config.burst else {
            self.bad = false;
            return false;
        };
        if happens(draws.state, if self.bad { burst.leave } else { burst.enter }) {
            self.bad = !self.bad;
        }
        self.bad && happens(draws.burst, burst.loss)
    }

    /// When it arrives: never before a packet sent earlier, unless that one is held back.
    fn arrive(&mut self, fate: &mut Fate, sent: Instant, draws: &Draws, fault: Option<Fault>) {
        let jitter = u64::try_from(self.config.jitter.as_nanos()).unwrap_or(u64::MAX - 1);
        let late = Duration::from_nanos(below(draws.jitter, jitter + 1));
        fate.held = match fault {
            Some(Fault::Hold(by)) => by,
            _ if happens(draws.reorder, self.config.reorder) => self.config.reorder_delay,
            _ => Duration::ZERO,
        };
        let arrival = (sent + self.config.delay + late).max(self.last_arrival);
        if fate.held.is_zero() {
            self.last_arrival = arrival;
        } else {
            self.stats.reordered += 1;
        }
        fate.arrival = arrival + fate.held;
    }
}

/// What waits for the transmitter, and when that is free.
#[derive(Debug, Default)]
struct Queue {
    /// When each waiting packet's turn begins, and its octets.
    waiting: VecDeque<(Instant, u64)>,
    /// Octets that wait.
    bytes: u64,
    free_at: Instant,
    /// What rounding to nanoseconds left over, in 1/rate of a nanosecond: keeps the rate exact.
    remainder: u64,
    aqm: aqm::State,
}

impl Queue {
    /// Takes a packet in and says when its last bit will be on the wire, and what becomes of it when its turn comes; `None`
    /// when there is no room.
    fn admit(
        &mut self,
        now: Instant,
        octets: u64,
        ecn: Ecn,
        config: &LinkConfig,
    ) -> Option<(Instant, Judgement)> {
        let Some(rate) = config.rate_bps else {
            // A rate that was taken away leaves the order as it was.
            return Some((now.max(self.free_at), Judgement::Pass));
        };
        while let Some(&(turn, len)) = self.waiting.front()
            && turn <= now
        {
            self.waiting.pop_front();
            self.bytes -= len;
        }
        let backlog = self.bytes;
        if self.free_at > now {
            let full = config.queue.packets.is_some_and(|n| self.waiting.len() as u64 >= u64::from(n))
                || config.queue.bytes.is_some_and(|n| self.bytes + octets > n);
            if full {
                return None;
            }
            self.waiting.push_back((self.free_at, octets));
            self.bytes += octets;
        } else if self.free_at < now {
            self.free_at = now;
            self.remainder = 0;
        }
        let turn = self.free_at;
        let judgement = match config.aqm {
            None => Judgement::Pass,
            Some(aqm) => self.aqm.judge(aqm, turn, turn.saturating_since(now), backlog, ecn),
        };
        if judgement == Judgement::Drop {
            // The next has its turn in its place.
            return Some((turn, judgement));
        }
        let scaled = u128::from(octets) * 8 * 1_000_000_000 + u128::from(self.remainder % rate);
        self.remainder = (scaled % u128::from(rate)) as u64;
        let nanos = u64::try_from(scaled / u128::from(rate)).unwrap_or(u64::MAX);
        self.free_at += Duration::from_nanos(nanos);
        Some((self.free_at, judgement))
    }
}

impl Fate {
    /// Whether the packet arrives as it was, once and in its turn.
    pub const fn is_plain(&self) -> bool {
        self.loss.is_none()
            && self.held.is_zero()
            && !self.duplicated
            && !self.marked
            && self.flipped.is_none()
    }

    /// Makes it so.
    pub fn apply(self, mut packet: Vec<u8>) -> Deliveries {
        if self.loss.is_some() {
            return Deliveries { at: self.arrival, packets: [None, None] };
        }
        if self.marked {
            aqm::set_ce(&mut packet);
        }
        if let Some(bit) = self.flipped
            && let Some(octet) = packet.get_mut(bit as usize / 8)
        {
            *octet ^= 0x80 >> (bit % 8);
        }
        let second = self.duplicated.then(|| packet.clone());
        Deliveries { at: self.arrival, packets: [Some(packet), second] }
    }
}

/// In words, for a capture's comment; nothing for a plain fate.
impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(loss) = self.loss {
            return f.write_str(loss.text());
        }
        let mut and = "";
        if self.marked {
            f.write_str("marked by the link's queue: congestion")?;
            and = ", ";
        }
        if let Some(bit) = self.flipped {
            write!(f, "{and}corrupted on the link: bit {} of octet {}", bit % 8, bit / 8)?;
            and = ", ";
        }
        if self.duplicated {
            write!(f, "{and}duplicated on the link")?;
            and = ", ";
        }
        if !self.held.is_zero() {
            write!(f, "{and}held back on the link by {:?}", self.held)?;
        }
        Ok(())
    }
}

impl Loss {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Random => "lost on the link",
            Self::Burst => "lost on the link, in a burst",
            Self::QueueFull => "dropped: the link's queue was full",
            Self::Managed => "dropped by the link's queue: congestion",
            Self::TooBig => "dropped: larger than the link's MTU",
            Self::Scripted => "lost on the link, as the scenario says",
        }
    }
}

/// What arrives of an offered packet, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deliveries {
    at: Instant,
    packets: [Option<Vec<u8>>; 2],
}

impl Iterator for Deliveries {
    type Item = (Instant, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let packet = self.packets.iter_mut().find_map(Option::take)?;
        Some((self.at, packet))
    }
}

#[cfg(test)]
mod tests;

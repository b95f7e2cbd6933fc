//! What a link does to packets, as numbers, as a string and by the name of a kind of network.

use std::fmt;
use std::str::FromStr;

use tunstack_core::time::Duration;

use super::aqm::Aqm;

/// What one direction of a link does to packets. The default is a perfect one: no delay, no limit, no loss.
///
/// As a string it is a list such as `100mbit,40ms,1%`: see [`LinkConfig::from_str`].
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LinkConfig {
    /// Bits a second, not 0; `None`: without limit. Counts the octets of the IP packet.
    pub rate_bps: Option<u64>,
    /// How long each packet is under way once it is on the wire.
    pub delay: Duration,
    /// Each packet is late by up to this much more, equally likely; the order stays.
    pub jitter: Duration,
    /// How much may wait where there is a rate.
    pub queue: QueueLimit,
    /// How it is managed beside that; `None`: not at all.
    pub aqm: Option<Aqm>,
    /// Probability that a packet is lost on the wire.
    pub loss: f64,
    /// Losses that come in bursts, beside `loss`.
    pub burst: Option<BurstLoss>,
    /// Probability that a packet is held back, so that later ones overtake it.
    pub reorder: f64,
    /// How long such a packet is held back.
    pub reorder_delay: Duration,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
    /// Probability that one bit of a packet is flipped.
    pub corrupt: f64,
    /// Packets of more octets are lost; `None`: all fit.
    pub mtu: Option<u16>,
}

/// What may wait for its turn, the packet on the wire not counted. What finds no room is dropped (tail
/// drop).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueLimit {
    /// Octets; `None`: without limit.
    pub bytes: Option<u64>,
    /// Packets; `None`: without limit.
    pub packets: Option<u32>,
}

/// The model of Gilbert and Elliott: a link is in a good or in a bad state, and each packet may change it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BurstLoss {
    /// Probability, a packet, to fall into the bad state.
    pub enter: f64,
    /// Probability, a packet, to leave it; its inverse is the mean length of a bad time in packets.
    pub leave: f64,
    /// Probability that a packet is lost in the bad state.
    pub loss: f64,
}

const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl LinkConfig {
    /// A perfect link, for use in constants.
    pub const PERFECT: Self = Self {
        rate_bps: None,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        queue: QueueLimit { bytes: None, packets: None },
        aqm: None,
        loss: 0.0,
        burst: None,
        reorder: 0.0,
        reorder_delay: Duration::ZERO,
        duplicate: 0.0,
        corrupt: 0.0,
        mtu: None,
    };

    const fn of(rate_bps: u64, delay: Duration, packets: u32) -> Self {
        Self {
            rate_bps: Some(rate_bps),
            delay,
            queue: QueueLimit { bytes: None, packets: Some(packets) },
            ..Self::PERFECT
        }
    }

    /// The named kinds of network, each one direction of it: half of the round trip's delay.
    pub const PRESETS: [(&str, Self); 8] = [
        ("perfect", Self::PERFECT),
        ("datacenter", Self::of(10_000_000_000, Duration::from_micros(50), 1000)),
        ("lan", Self::of(1_000_000_000, Duration::from_micros(200), 1000)),
        ("dsl", Self::of(16_000_000, millis(10), 100)),
        ("intercontinental", Self::of(100_000_000, millis(75), 1000)),
        (
            "wifi",
            Self {
                jitter: millis(4),
                burst: Some(BurstLoss { enter: 0.002, leave: 0.25, loss: 0.5 }),
                ..Self::of(50_000_000, millis(3), 200)
            },
        ),
        ("lte", Self { jitter: millis(10), loss: 0.001, ..Self::of(20_000_000, millis(25), 600) }),
        ("satellite", Self { loss: 0.005, ..Self::of(20_000_000, millis(300), 400) }),
    ];

    /// The named kind of network.
    pub fn preset(name: &str) -> Option<Self> {
        Self::PRESETS.iter().find(|(n, _)| *n == name).map(|(_, config)| *config)
    }

    /// The same with another probability of loss.
    #[must_use]
    pub const fn with_loss(mut self, probability: f64) -> Self {
        self.loss = probability;
        self
    }

    /// The same with another delay.
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same with another rate, bits a second.
    #[must_use]
    pub const fn with_rate(mut self, bps: u64) -> Self {
        self.rate_bps = Some(bps);
        self
    }

    /// The same with room for so many waiting octets.
    #[must_use]
    pub const fn with_queue_bytes(mut self, bytes: u64) -> Self {
        self.queue.bytes = Some(bytes);
        self
    }

    /// The same with room for so many waiting packets.
    #[must_use]
    pub const fn with_queue_packets(mut self, packets: u32) -> Self {
        self.queue.packets = Some(packets);
        self
    }
}

/// A string that is no link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseLinkError {
    term: String,
    expected: &'static str,
}

impl fmt::Display for ParseLinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read `{}` in a link: expected {}", self.term, self.expected)
    }
}

impl std::error::Error for ParseLinkError {}

impl FromStr for LinkConfig {
    type Err = ParseLinkError;

    /// Reads a list of terms parted by commas, in any order; the name of a preset comes first and later
    /// terms change it. An empty string is a perfect link.
    ///
    /// * `100mbit`: rate (`bit`, `kbit`, `mbit`, `gbit`, powers of 1000); `rate=none` removes it
    /// * `40ms`: delay (`ns`, `us`, `ms`, `s`); `jitter=5ms`
    /// * `1%`: loss; `burst=1%/25%/50%`: enter, leave and loss of [`BurstLoss`]
    /// * `queue=100p`, `queue=64k`: packets, octets (`b`, `k`, `m`, powers of 1024)
    /// * `mark=1ms`: what has waited for longer is marked; `codel=5ms/100ms`: RFC 8289 with target and interval, marking what is
    ///   ECN-capable; `codel-drop=5ms/100ms`: the same, dropping all
    /// * `reorder=1%/10ms`, `dup=1%`, `corrupt=0.1%`, `mtu=1400`
    ///
    /// # Errors
    /// The first term that is none of these, or a probability above 100 %.
    fn from_str(s: &str) -> Result<Self, ParseLinkError> {
        let mut config = Self::default();
        for (i, term) in s.split(',').map(str::trim).enumerate() {
            match Self::preset(term) {
                Some(preset) if i == 0 => config = preset,
                _ if term.is_empty() && i == 0 => {}
                _ => config.set(term).map_err(|expected| ParseLinkError { term: term.into(), expected })?,
            }
        }
        Ok(config)
    }
}

impl LinkConfig {
    fn set(&mut self, term: &str) -> Result<(), &'static str> {
        let Some((key, value)) = term.split_once('=') else {
            if let Ok(rate) = rate(term) {
                self.rate_bps = Some(rate);
            } else if let Ok(delay) = duration(term) {
                self.delay = delay;
            } else {
                self.loss = percent(term).map_err(|_| "a rate, a delay, a loss, a key=value or a preset")?;
            }
            return Ok(());
        };
        match key.trim() {
            "rate" if value == "none" => self.rate_bps = None,
            "rate" => self.rate_bps = Some(rate(value)?),
            "delay" => self.delay = duration(value)?,
            "jitter" => self.jitter = duration(value)?,
            "loss" => self.loss = percent(value)?,
            "burst" => self.burst = Some(burst(value)?),
            "queue" => match value.strip_suffix('p') {
                Some(n) => self.queue.packets = Some(n.parse().map_err(|_| "packets, such as 100p")?),
                None => self.queue.bytes = Some(octets(value)?),
            },
            "mark" => self.aqm = Some(Aqm::Step { over: duration(value)? }),
            "codel" | "codel-drop" => {
                let (target, interval) = value.split_once('/').ok_or("two times, such as 5ms/100ms")?;
                let (target, interval) = (duration(target)?, duration(interval)?);
                self.aqm = Some(Aqm::CoDel { target, interval, marks: key.trim() == "codel" });
            }
            "reorder" => {
                let (p, by) = value.split_once('/').ok_or("a probability and a delay, such as 1%/10ms")?;
                (self.reorder, self.reorder_delay) = (percent(p)?, duration(by)?);
            }
            "dup" => self.duplicate = percent(value)?,
            "corrupt" => self.corrupt = percent(value)?,
            "mtu" => self.mtu = Some(value.parse().map_err(|_| "octets, at most 65535")?),
            _ => {
                return Err(
                    "one of rate, delay, jitter, loss, burst, queue, mark, codel, codel-drop, reorder, dup, corrupt, mtu",
                );
            }
        }
        Ok(())
    }
}

/// The number before the first of `units` that ends `s`, times what the unit stands for.
fn scaled(s: &str, units: &[(&str, u32)]) -> Option<f64> {
    let (digits, factor) = units.iter().find_map(|(u, f)| Some((s.strip_suffix(u)?, *f)))?;
    // Rust's `f64::from_str` also takes `inf`, `nan` and signs.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    Some(digits.parse::<f64>().ok()? * f64::from(factor))
}

fn rate(s: &str) -> Result<u64, &'static str> {
    let units = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];
    match scaled(s, &units).map(f64::round) {
        Some(bps) if (1.0..1e15).contains(&bps) => Ok(bps as u64),
        _ => Err("a rate, such as 100mbit"),
    }
}

fn duration(s: &str) -> Result<Duration, &'static str> {
    match scaled(s, &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)]).map(f64::round) {
        Some(ns) if ns < 1e18 => Ok(Duration::from_nanos(ns as u64)),
        _ => Err("a time, such as 40ms"),
    }
}

fn percent(s: &str) -> Result<f64, &'static str> {
    match scaled(s, &[("%", 1)]) {
        Some(p) if p <= 100.0 => Ok(p / 100.0),
        _ => Err("a probability, such as 1%"),
    }
}

fn octets(s: &str) -> Result<u64, &'static str> {
    match scaled(s, &[("k", 1 << 10), ("m", 1 << 20), ("b", 1), ("", 1)]).map(f64::round) {
        Some(n) if n < 1e15 => Ok(n as u64),
        _ => Err("octets, such as 64k, or packets, such as 100p"),
    }
}

fn burst(s: &str) -> Result<BurstLoss, &'static str> {
    let mut parts = s.split('/').map(percent);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(enter), Some(leave), Some(loss), None) => {
            Ok(BurstLoss { enter: enter?, leave: leave?, loss: loss? })
        }
        _ => Err("three probabilities: enter/leave/loss, such as 1%/25%/50%"),
    }
}

/// Writes what [`LinkConfig::from_str`] reads.
impl fmt::Display for LinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        let mut term = |text: String| {
            write!(f, "{comma}{text}")?;
            comma = ",";
            Ok(())
        };
        match self.rate_bps {
            None => {}
            Some(n) if n % 1_000_000 == 0 => term(format!("{}mbit", n / 1_000_000))?,
            Some(n) => term(format!("{n}bit"))?,
        }
        if !self.delay.is_zero() {
            term(time(self.delay))?;
        }
        if !self.jitter.is_zero() {
            term(format!("jitter={}", time(self.jitter)))?;
        }
        if self.loss > 0.0 {
            term(format!("{}%", self.loss * 100.0))?;
        }
        if let Some(b) = self.burst {
            term(format!("burst={}%/{}%/{}%", b.enter * 100.0, b.leave * 100.0, b.loss * 100.0))?;
        }
        if let Some(n) = self.queue.packets {
            term(format!("queue={n}p"))?;
        }
        if let Some(n) = self.queue.bytes {
            term(format!("queue={n}b"))?;
        }
        match self.aqm {
            None => {}
            Some(Aqm::Step { over }) => term(format!("mark={}", time(over)))?,
            Some(Aqm::CoDel { target, interval, marks }) => {
                let name = if marks { "codel" } else { "codel-drop" };
                term(format!("{name}={}/{}", time(target), time(interval)))?;
            }
        }
        if self.reorder > 0.0 {
            term(format!("reorder={}%/{}", self.reorder * 100.0, time(self.reorder_delay)))?;
        }
        if self.duplicate > 0.0 {
            term(format!("dup={}%", self.duplicate * 100.0))?;
        }
        if self.corrupt > 0.0 {
            term(format!("corrupt={}%", self.corrupt * 100.0))?;
        }
        if let Some(n) = self.mtu {
            term(format!("mtu={n}"))?;
        }
        Ok(())
    }
}

fn time(d: Duration) -> String {
    let ns = d.as_nanos();
    match ns {
        _ if ns.is_multiple_of(1_000_000) => format!("{}ms", ns / 1_000_000),
        _ if ns.is_multiple_of(1_000) => format!("{}us", ns / 1_000),
        _ => format!("{ns}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_from_a_string() {
        let c: LinkConfig = "100mbit,40ms,1%".parse().unwrap();
        assert_eq!(c, LinkConfig::PERFECT.with_rate(100_000_000).with_delay(millis(40)).with_loss(0.01));
        let c: LinkConfig = "1.5mbit, 250us, jitter=5ms, burst=1%/25%/50%, queue=100p, queue=64k, \
                             reorder=2%/10ms, dup=1%, corrupt=0.1%, mtu=1400"
            .parse()
            .unwrap();
        assert_eq!(c.rate_bps, Some(1_500_000));
        assert_eq!(c.delay, Duration::from_micros(250));
        assert_eq!(c.jitter, millis(5));
        assert_eq!(c.burst, Some(BurstLoss { enter: 0.01, leave: 0.25, loss: 0.5 }));
        assert_eq!(c.queue, QueueLimit { bytes: Some(65_536), packets: Some(100) });
        assert_eq!((c.reorder, c.reorder_delay), (0.02, millis(10)));
        assert_eq!((c.duplicate, c.mtu), (0.01, Some(1400)));
        assert!((c.corrupt - 0.001).abs() < 1e-12);
        assert_eq!("".parse(), Ok(LinkConfig::PERFECT));
        for (text, aqm) in [
            ("mark=1ms", Aqm::Step { over: millis(1) }),
            ("codel=5ms/100ms", Aqm::CoDel { target: millis(5), interval: millis(100), marks: true }),
            ("codel-drop=250us/4ms", {
                Aqm::CoDel { target: Duration::from_micros(250), interval: millis(4), marks: false }
            }),
        ] {
            let c: LinkConfig = text.parse().unwrap();
            assert_eq!((c.aqm, c.to_string().as_str()), (Some(aqm), text));
        }
    }

    #[test]
    fn a_preset_comes_first_and_is_changed_by_what_follows() {
        let c: LinkConfig = "satellite,0%,queue=32k,rate=none".parse().unwrap();
        assert_eq!((c.rate_bps, c.delay, c.loss), (None, millis(300), 0.0));
        assert_eq!(c.queue, QueueLimit { bytes: Some(32_768), packets: Some(400) });
        let e = "1%,satellite".parse::<LinkConfig>().unwrap_err();
        assert!(e.to_string().contains("satellite"), "{e}");
    }

    #[test]
    fn what_is_no_link_is_refused() {
        for bad in [
            "fast",
            "101%",
            "0bit",
            "-1ms",
            "inf%",
            "nanms",
            "1ms,,2%",
            "burst=1%",
            "burst=1%/2%/3%/4%",
            "reorder=1%",
            "mark=5",
            "codel=5ms",
            "queue=p",
            "mtu=70000",
            "rate=",
            "loss=1",
            "1",
            "%",
            "ms",
            "speed=1mbit",
        ] {
            assert!(bad.parse::<LinkConfig>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_string_of_a_preset_reads_back() {
        for (name, preset) in LinkConfig::PRESETS {
            assert_eq!(preset.to_string().parse(), Ok(preset), "{name}: {preset}");
        }
        let all = "3kbit,1ms,jitter=7us,1%,burst=1%/25%/50%,queue=9p,queue=1000b,reorder=2%/3ns,dup=4%,\
                   corrupt=5%,mtu=576";
        let config: LinkConfig = all.parse().unwrap();
        assert_eq!(config.to_string().parse(), Ok(config));
    }
}

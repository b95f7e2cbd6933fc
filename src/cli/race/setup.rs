//! What is raced: the link with its queue, the algorithms, and how their arguments are read.

use std::time::Duration;

use tunstack::sim::bottleneck::{Bottleneck, Lane, bandwidth_delay_product};
use tunstack::sim::link::{LinkConfig, QueueLimit};

use super::super::common::Common;
use super::super::output::Failure;
use super::RaceArgs;

/// The size of a queue.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Queue {
    /// Times the bandwidth-delay product.
    Bdp(f64),
    Octets(u64),
    Packets(u32),
}

/// From and to, seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Zoom(pub(super) f64, pub(super) f64);

/// Reads `1bdp`, `64k` or `100p`.
pub(super) fn queue(text: &str) -> Result<Queue, String> {
    let bad = || format!("{text:?} is no size of a queue: 1bdp, 64k or 100p");
    if let Some(factor) = text.strip_suffix("bdp") {
        let factor: f64 = factor.parse().map_err(|_| bad())?;
        return if (0.0..=1e4).contains(&factor) { Ok(Queue::Bdp(factor)) } else { Err(bad()) };
    }
    let limit = format!("queue={text}").parse::<LinkConfig>().map_err(|_| bad())?.queue;
    match (limit.packets, limit.bytes) {
        (Some(n), _) => Ok(Queue::Packets(n)),
        (None, Some(n)) => Ok(Queue::Octets(n)),
        (None, None) => Err(bad()),
    }
}

/// Reads `2.5..4`.
pub(super) fn zoom(text: &str) -> Result<Zoom, String> {
    let both = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match both {
        Some((from, to)) if 0.0 <= from && from < to && to < 1e9 => Ok(Zoom(from, to)),
        _ => Err("two times in seconds, such as 2.5..4".to_owned()),
    }
}

impl Queue {
    /// What it is on `link`, where two packets of the largest size fit at the least.
    pub(super) fn limit(self, link: &LinkConfig, mtu: u16) -> QueueLimit {
        match self {
            Self::Packets(n) => QueueLimit { packets: Some(n), bytes: None },
            Self::Octets(n) => QueueLimit { packets: None, bytes: Some(n) },
            Self::Bdp(factor) => {
                let octets = |rate| (bandwidth_delay_product(rate, link.delay * 2) as f64 * factor) as u64;
                QueueLimit {
                    packets: None,
                    bytes: link.rate_bps.map(|rate| octets(rate).max(2 * u64::from(mtu))),
                }
            }
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Bdp(factor) => format!("{factor} BDP"),
            Self::Octets(n) => format!("{n} octets"),
            Self::Packets(n) => format!("{n} packets"),
        }
    }
}

/// A race, as the command line has it.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The link with its queue, each way.
    pub(super) link: LinkConfig,
    pub(super) queue: Queue,
    pub(super) mtu: u16,
    pub(super) algorithms: Vec<String>,
    pub(super) together: bool,
    pub(super) flows: usize,
    pub(super) seconds: Duration,
    pub(super) stagger: Duration,
    pub(super) pace_slow_start: bool,
    pub(super) seed: u64,
    /// Whether there will be a plot.
    pub(super) drawn: bool,
}

impl Setup {
    pub(super) fn new(common: &Common, args: &RaceArgs) -> Result<Self, Failure> {
        let mut link = common.link.unwrap_or_else(|| {
            LinkConfig::PERFECT.with_rate(100_000_000).with_delay(Duration::from_millis(20))
        });
        let mtu = u16::try_from(common.mtu).ok().filter(|mtu| *mtu >= 68);
        let mtu = mtu.ok_or_else(|| Failure::Usage(format!("--mtu {}: from 68 to 65535", common.mtu)))?;
        if args.cc.iter().any(String::is_empty) {
            return Err(Failure::Usage("--cc: a name is empty".to_owned()));
        }
        if link.rate_bps.is_none() && !args.kernel {
            let text = "--link has no rate: without one nothing limits the flows (try 100mbit,20ms)";
            return Err(Failure::Usage(text.to_owned()));
        }
        if link.queue == QueueLimit::default() {
            link.queue = args.queue.limit(&link, mtu);
        }
        Ok(Self {
            link,
            queue: args.queue,
            mtu,
            algorithms: args.cc.clone(),
            together: args.together,
            flows: usize::from(args.flows),
            seconds: args.seconds,
            stagger: args.stagger.unwrap_or_default(),
            pace_slow_start: !args.no_slow_start_pacing,
            seed: args.seed,
            drawn: args.svg.is_some(),
        })
    }

    /// The races to run: one for each algorithm, or one of all.
    pub(super) fn bottlenecks(&self) -> Vec<Bottleneck> {
        let lane = |algorithm: &String| Lane { algorithm: algorithm.clone(), flows: self.flows };
        let lanes: Vec<_> = self.algorithms.iter().map(lane).collect();
        let groups: Vec<Vec<Lane>> =
            if self.together { vec![lanes] } else { lanes.into_iter().map(|lane| vec![lane]).collect() };
        let bottleneck = |lanes: Vec<Lane>| {
            Bottleneck {
                back: self.link,
                mtu: self.mtu,
                stagger: self.stagger,
                slow_start_pacing: self.pace_slow_start,
                trace: true,
                seed: self.seed,
                ..Bottleneck::new(&lanes[0].algorithm, self.link)
            }
            .with_lanes(lanes)
        };
        groups.into_iter().map(bottleneck).collect()
    }

    /// The link in words.
    pub(super) fn link_text(&self) -> String {
        let plain = LinkConfig { queue: QueueLimit::default(), ..self.link };
        let queue = match (self.link.queue.packets, self.link.queue.bytes) {
            (Some(packets), _) => format!("{packets} packets"),
            (None, Some(octets)) => format!("{octets} octets"),
            (None, None) => "without limit".to_owned(),
        };
        let unpaced = if self.pace_slow_start { "" } else { ", slow start not paced" };
        format!("{plain} each way, queue {queue}{unpaced}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_queues() {
        assert_eq!(queue("1bdp"), Ok(Queue::Bdp(1.0)));
        assert_eq!(queue("0.25bdp"), Ok(Queue::Bdp(0.25)));
        assert_eq!(queue("64k"), Ok(Queue::Octets(65_536)));
        assert_eq!(queue("100p"), Ok(Queue::Packets(100)));
        for bad in ["", "bdp", "-1bdp", "nanbdp", "x", "1,5p", "k"] {
            assert!(queue(bad).is_err(), "{bad}");
        }
        let link: LinkConfig = "100mbit,20ms".parse().unwrap();
        assert_eq!(Queue::Bdp(0.5).limit(&link, 1500).bytes, Some(250_000));
        assert_eq!(Queue::Bdp(0.0).limit(&link, 1500).bytes, Some(3_000));
        assert_eq!(Queue::Packets(7).limit(&link, 1500), QueueLimit { packets: Some(7), bytes: None });
    }

    #[test]
    fn parts_of_the_time() {
        assert_eq!(zoom("2.5..4"), Ok(Zoom(2.5, 4.0)));
        for bad in ["", "1", "4..2", "-1..2", "1..", "a..b", "nan..2"] {
            assert!(zoom(bad).is_err(), "{bad}");
        }
    }
}

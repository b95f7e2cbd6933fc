//! What is measured, for how long and how often.

use std::fmt;
use std::time::Duration;

use tunstack::device::setup::{Offload, TunConfig};

use super::super::common::Common;
use super::super::output::Failure;
use super::super::run::device_failure;
use super::BenchArgs;

/// The number of this stack's server: the kernel's is 0.
pub(super) const OWN: usize = 1;

/// All kinds, as `--only` names them.
const KINDS: &str = "up, down, both, rr, request, connect, http, udp-up, udp-down, crowd, million";
const MOST_STREAMS: usize = 64;
/// Octets of IPv4 and UDP before a datagram's text.
const UDP_HEADERS: u32 = 28;
const SMALL_DATAGRAM: u16 = 64;

/// Which way data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// To the server.
    Up,
    /// From it.
    Down,
    Both,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    Bulk {
        way: Way,
        streams: usize,
    },
    Trips {
        octets: usize,
    },
    /// With a request on each connection, or without.
    Connections {
        request: bool,
        in_flight: usize,
    },
    Http {
        connections: usize,
    },
    /// `up`, or else down.
    Datagrams {
        up: bool,
        octets: u16,
    },
    Crowd {
        connections: usize,
    },
    /// So many that stand idle.
    Million {
        idle: usize,
    },
}

impl fmt::Display for Column {
    /// Its name on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bulk { way, streams } => write!(f, "{}-{streams}", way.name()),
            Self::Trips { octets } => write!(f, "rr-{octets}"),
            Self::Connections { request: true, in_flight } => write!(f, "request-{in_flight}"),
            Self::Connections { request: false, in_flight } => write!(f, "connect-{in_flight}"),
            Self::Http { connections } => write!(f, "http-{connections}"),
            Self::Datagrams { up: true, octets } => write!(f, "udp-up-{octets}"),
            Self::Datagrams { up: false, octets } => write!(f, "udp-down-{octets}"),
            Self::Crowd { .. } => f.write_str("crowd"),
            Self::Million { .. } => f.write_str("million"),
        }
    }
}

impl Column {
    /// In words.
    pub(super) fn title(self) -> String {
        let streams = |n: usize| if n == 1 { "1 stream".to_owned() } else { format!("{n} streams") };
        match self {
            Self::Bulk { way: Way::Both, streams: n } => format!("both ways, {} each", streams(n)),
            Self::Bulk { way, streams: n } => format!("bulk {}, {}", way.name(), streams(n)),
            Self::Trips { octets: 1 } => "round trip of 1 octet".to_owned(),
            Self::Trips { octets } => format!("round trip of {octets} octets"),
            Self::Connections { request: true, in_flight } => {
                format!("connect, request, close, {in_flight} in flight")
            }
            Self::Connections { request: false, in_flight } => {
                format!("connect, close, {in_flight} in flight")
            }
            Self::Http { connections: 1 } => "HTTP requests, 1 connection".to_owned(),
            Self::Http { connections } => format!("HTTP requests, {connections} connections"),
            Self::Datagrams { up, octets } => {
                format!("UDP {}, {octets} octets", if up { "up" } else { "down" })
            }
            Self::Crowd { connections } => format!("{connections} connections at once"),
            Self::Million { idle } => format!("{idle} idle connections"),
        }
    }

    /// That of a name, as [`Display`](fmt::Display) writes it; `crowd` is how many connections one has, `idle` how many
    /// stand idle.
    pub(super) fn named(name: &str, crowd: usize, idle: usize) -> Option<Self> {
        match name {
            "crowd" => return Some(Self::Crowd { connections: crowd }),
            "million" => return Some(Self::Million { idle }),
            _ => {}
        }
        let (kind, number) = name.rsplit_once('-')?;
        let n: usize = number.parse().ok()?;
        let datagrams = |up| Some(Self::Datagrams { up, octets: u16::try_from(n).ok()? });
        match kind {
            "up" => Some(Self::Bulk { way: Way::Up, streams: n }),
            "down" => Some(Self::Bulk { way: Way::Down, streams: n }),
            "both" => Some(Self::Bulk { way: Way::Both, streams: n }),
            "rr" => Some(Self::Trips { octets: n }),
            "request" => Some(Self::Connections { request: true, in_flight: n }),
            "connect" => Some(Self::Connections { request: false, in_flight: n }),
            "http" => Some(Self::Http { connections: n }),
            "udp-up" => datagrams(true),
            "udp-down" => datagrams(false),
            _ => None,
        }
    }

    /// Whether it is measured over the lane with this number: see [`start`](super::lanes::start).
    pub(super) const fn is_over(self, lane: usize) -> bool {
        !matches!(self, Self::Million { .. }) || lane == OWN
    }

    /// Whether memory is measured, and so each time in a server that is new: what one has freed it uses again.
    pub(super) const fn wants_new_server(self) -> bool {
        matches!(self, Self::Crowd { .. } | Self::Million { .. })
    }

    /// How often each server is measured. What takes long gives all its samples at once.
    pub(super) const fn runs(self, plan: &Plan) -> usize {
        if matches!(self, Self::Million { .. }) { 1 } else { plan.runs }
    }

    fn is_of(self, name: &str) -> bool {
        let own = self.to_string();
        own == name || own.rsplit_once('-').is_some_and(|(kind, _)| kind == name)
    }
}

/// The fewest idle connections that [`Column::Million`] has a tenth of.
pub(super) const LEAST_IDLE: usize = 10;

/// How many connections stand idle at each step of [`Column::Million`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Steps {
    /// What all is compared with, from the beginning to the end.
    pub(super) few: usize,
    /// What is opened beside these and closed, before all are.
    pub(super) part: usize,
    /// The same with all of them.
    pub(super) rest: usize,
}

impl Steps {
    pub(super) fn of(idle: usize) -> Self {
        let few = (idle / 10).clamp(1, 1000);
        Self { few, part: idle / 10, rest: idle - few }
    }
}

/// All that the command line decides.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) columns: Vec<Column>,
    pub(super) seconds: Duration,
    pub(super) runs: usize,
    pub(super) mtu: u32,
    pub(super) offload: Offload,
    pub(super) shards: u16,
    /// Whether this stack may read by an io_uring.
    pub(super) uring: bool,
    /// Whether the kernel steers the flows of this stack's device.
    pub(super) steer: bool,
    /// Whether the kernel joins what this stack sends.
    pub(super) gro: bool,
    /// How long this stack looks for packets before it sleeps, where that is not left to it.
    pub(super) spin: Option<Duration>,
    pub(super) peers: Vec<String>,
}

impl Plan {
    pub(super) fn new(common: &Common, args: &BenchArgs) -> Result<Self, Failure> {
        // Room for both headers and for a datagram; the IPv4 minimum is below.
        if !(576..=65_535).contains(&common.mtu) {
            return Err(Failure::Usage(format!("--mtu {}: a benchmark takes 576 to 65535", common.mtu)));
        }
        // What makes no sense is told now, and not by a server.
        let device = TunConfig {
            offload: common.offload,
            queues: common.shards,
            steer: common.steer,
            gro: common.gro,
            ..TunConfig::default()
        };
        device.validate().map_err(device_failure)?;
        let quick = args.quick;
        let streams = match args.streams.as_slice() {
            [] if quick => &[1][..],
            [] => &[1, 4, 16, 64],
            given => given,
        };
        let connections = args.connections.unwrap_or(if quick { 1000 } else { 10_000 }) as usize;
        let idle = args.idle.unwrap_or(if quick { 10_000 } else { 1_000_000 }) as usize;
        let mut all = all(streams, connections, common.mtu, quick);
        all.push(Column::Million { idle });
        if let Some(name) = args.only.iter().find(|name| !all.iter().any(|c| c.is_of(name))) {
            let names: Vec<_> = all.iter().map(ToString::to_string).collect();
            return Err(Failure::Usage(format!("--only {name}: there are {}", names.join(", "))));
        }
        let chosen = |c: &Column| match args.only.as_slice() {
            [] => !matches!(c, Column::Million { .. }),
            only => only.iter().any(|name| c.is_of(name)),
        };
        let columns: Vec<_> = all.into_iter().filter(chosen).collect();
        let is_million = |c: &Column| matches!(c, Column::Million { .. });
        if args.idle.is_some() && !columns.iter().any(is_million) {
            return Err(Failure::Usage("--idle is for million alone: add --only million".to_owned()));
        }
        if args.svg.is_some() && columns.iter().all(is_million) {
            let why = "--svg: million has no ratio to the kernel to draw: name another column, too, or leave it out";
            return Err(Failure::Usage(why.to_owned()));
        }
        Ok(Self {
            columns,
            seconds: args.seconds.unwrap_or(Duration::from_millis(if quick { 100 } else { 2000 })),
            runs: args.runs.map_or(if quick { 1 } else { 5 }, usize::from),
            mtu: common.mtu,
            offload: common.offload,
            shards: common.shards,
            uring: !common.no_uring,
            steer: common.steer,
            gro: common.gro,
            spin: common.spin,
            peers: args.peer_command.clone(),
        })
    }

    pub(super) const fn offload_text(&self) -> &'static str {
        match self.offload {
            Offload::On => "on",
            Offload::Off => "off",
            Offload::Auto => "auto",
        }
    }

    /// How long load runs before it is measured: windows open, threads start.
    pub(super) fn warm_up(&self) -> Duration {
        self.seconds.min(Duration::from_millis(700))
    }
}

fn all(streams: &[usize], crowd: usize, mtu: u32, quick: bool) -> Vec<Column> {
    let mut columns = Vec::new();
    for way in [Way::Up, Way::Down, Way::Both] {
        for &streams in streams {
            let column = Column::Bulk { way, streams };
            // What is asked for twice is measured once.
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    columns.extend([1, 1024].map(|octets| Column::Trips { octets }));
    let several: &[usize] = if quick { &[4] } else { &[1, 4, 64] };
    for request in [true, false] {
        columns.extend(several.iter().map(|&in_flight| Column::Connections { request, in_flight }));
    }
    let kept: &[usize] = if quick { &[4] } else { &[1, 64] };
    columns.extend(kept.iter().map(|&connections| Column::Http { connections }));
    let full = u16::try_from(mtu.saturating_sub(UDP_HEADERS)).unwrap_or(u16::MAX);
    for up in [true, false] {
        columns.extend([SMALL_DATAGRAM, full].map(|octets| Column::Datagrams { up, octets }));
    }
    columns.push(Column::Crowd { connections: crowd });
    columns
}

/// One of `--streams`.
pub(super) fn streams(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=MOST_STREAMS).contains(&n) => Ok(n),
        _ => Err(format!("1 to {MOST_STREAMS}")),
    }
}

/// One of `--only`: the name of a kind, or of one with its number.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    let kind = text.rsplit_once('-').filter(|(_, n)| is_number(n)).map_or(text, |(kind, _)| kind);
    match KINDS.split(", ").any(|known| known == kind) {
        true => Ok(text.to_owned()),
        false => Err(format!("one of {KINDS}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::super::args::{Args, Command};
    use super::*;

    #[test]
    fn names_of_columns() {
        let all = all(&[1, 4, 1], 10, 1500, false);
        let of =
            |name: &str| all.iter().filter(|c| c.is_of(name)).map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of("up"), ["up-1", "up-4"]);
        assert_eq!(of("udp-up"), ["udp-up-64", "udp-up-1472"]);
        assert_eq!(of("request-4"), ["request-4"]);
        assert_eq!(of("udp"), [""; 0]);
        assert_eq!(of("crowd"), ["crowd"]);
        for column in &all {
            assert_eq!(name(&column.to_string()), Ok(column.to_string()));
            assert_eq!(Column::named(&column.to_string(), 10, 1), Some(*column));
        }
        let million = Column::Million { idle: 20 };
        assert_eq!(Column::named(&million.to_string(), 10, 20), Some(million));
        assert!(name("million").is_ok() && million.is_of("million") && !million.is_of("crowd"));
        assert_eq!(["up", "up-", "sideways-1", "udp-up-65536"].map(|n| Column::named(n, 1, 1)), [None; 4]);
        assert!(name("sideways").is_err() && name("up-").is_err() && name("udp-1").is_err());
    }

    #[test]
    fn steps_of_many_and_of_few() {
        let steps = |idle| {
            let Steps { few, part, rest } = Steps::of(idle);
            [few, part, rest]
        };
        assert_eq!(steps(1_000_000), [1000, 100_000, 999_000]);
        assert_eq!(steps(200), [20, 20, 180]);
        assert_eq!(steps(10), [1, 1, 9]);
    }

    #[test]
    fn what_takes_minutes_is_measured_only_when_it_is_named() {
        let columns = |line: &str| {
            let args = Args::parse_from(format!("tunstack bench {line}").split(' '));
            let Command::Bench(bench) = &args.command else { panic!("{line}") };
            let plan = Plan::new(&args.common, bench).unwrap_or_else(|_| panic!("{line}"));
            (plan.columns.iter().any(|c| matches!(c, Column::Million { .. })), plan)
        };
        assert!(!columns("--runs 3").0 && !columns("--quick").0);
        let (is_there, plan) = columns("--only million,rr-1 --idle 4000 --runs 3");
        assert!(is_there);
        let [trips, million] = plan.columns[..] else { panic!("{:?}", plan.columns) };
        assert_eq!(million, Column::Million { idle: 4000 });
        assert_eq!([0, 1, 2].map(|lane| million.is_over(lane)), [false, true, false]);
        assert_eq!([0, 1, 2].map(|lane| trips.is_over(lane)), [true; 3]);
        assert_eq!([million, trips].map(|column| column.runs(&plan)), [1, 3]);
    }
}

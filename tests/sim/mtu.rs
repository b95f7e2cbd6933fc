//! MTU and segmentation: a transfer over devices of every size, with offload and without, while the path becomes smaller
//! under it and while it loses. The worst trap of a sender whose device cuts is a size that is not what the path takes, so
//! each packet is looked at as it is on the link, after it was cut.
//!
//! A row of the table is one device MTU, one path, one loss and one family; its columns are what the devices do:
//!
//! | Column | The sender's device | The receiver's device |
//! |---|---|---|
//! | off | is plain | is plain |
//! | send | cuts runs of segments and finishes their sums | is plain |
//! | receive | is plain | joins what follows within 100 µs |
//! | both | cuts | joins |
//!
//! The best of a row is the column that is fastest: all of them send the same octets over the same link, and where the link
//! loses, it loses the same places of the stream, so they differ in nothing but the devices, and none of them may be more
//! than a fifth slower than the best.
//!
//! The path becomes smaller in mid-transfer: a router passes the first half, and then drops what is larger than its next
//! link takes, with an ICMP message for each packet. From when the first of these has arrived no segment may be larger
//! than it says, and some have to be exactly so large.
//!
//! The goodputs in virtual time stand in `tests/sim/mtu.txt`: `UPDATE=1 cargo test --test sim mtu` writes them anew.

mod edge;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tunstack::core::addr::Endpoint;
use tunstack::core::config::{Config, Offload};
use tunstack::core::time::Instant;
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::client::Client;
use tunstack::sim::host::Host;
use tunstack::sim::link::{Fault, LinkConfig};
use tunstack::sim::server::Server;
use tunstack::sim::world::World;

use crate::pair::{CLIENT, PORT, SERVER, V4, V6, config, secs};
use edge::{Edge, Places};

const TABLE: &str = "tests/sim/mtu.txt";

const LINK: &str = "1gbit,500us";

/// The least of a column, of the best of its row.
const LEAST: f64 = 0.8;

/// Device MTU, and what its path takes in the end; 576 is for IPv4 alone, all of whose links are that large or larger.
const SIZES: [(u16, u16); 5] = [(576, 296), (1280, 1006), (1500, 1280), (9000, 1500), (65_520, 1500)];

/// The least that a path of IPv6 takes (RFC 8200 section 5): it becomes no smaller.
const LEAST_V6: u16 = 1280;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Row {
    v6: bool,
    device: u16,
    path: Option<u16>,
    loses: bool,
}

impl Row {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for v6 in [false, true] {
            for (device, path) in SIZES {
                for path in [None, Some(path.max(if v6 { LEAST_V6 } else { 0 }))] {
                    let possible = path.is_none_or(|path| path < device) && (!v6 || device >= LEAST_V6);
                    let rows = [false, true].map(|loses| Self { v6, device, path, loses });
                    all.extend(rows.into_iter().filter(|_| possible));
                }
            }
        }
        all
    }

    /// Some thousand packets where they are small, and still some hundred where they are large.
    fn octets(self) -> u64 {
        (u64::from(self.device) * 2000).clamp(1 << 20, 8 << 20)
    }

    /// Octets of text of a segment, before and after the path has become smaller.
    fn segments(self) -> [u64; 2] {
        let headers = if self.v6 { 72 } else { 52 };
        [self.device, self.path.unwrap_or(self.device)].map(|mtu| u64::from(mtu) - headers)
    }

    fn name(self) -> String {
        let family = if self.v6 { "IPv6" } else { "IPv4" };
        let path = self.path.map_or_else(|| "-".to_owned(), |path| path.to_string());
        format!("{family} {:>6} {path:>6} {:>4} %", self.device, u8::from(self.loses))
    }
}

/// What the devices do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Column {
    cuts: bool,
    joins: bool,
}

const COLUMNS: [(&str, Column); 4] = [
    ("off", Column { cuts: false, joins: false }),
    ("send", Column { cuts: true, joins: false }),
    ("receive", Column { cuts: false, joins: true }),
    ("both", Column { cuts: true, joins: true }),
];

/// A number that looks like chance, the same in each column of a row.
fn draw(row: Row, number: u64) -> u64 {
    let mut z = number.wrapping_add(u64::from(row.device) << 20).wrapping_add(u64::from(row.v6) << 40);
    z = z.wrapping_add(u64::from(row.path.unwrap_or(0)) << 44).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Runs one transfer to its end and judges it: octets of text a second.
fn run(row: Row, column: Column) -> f64 {
    let octets = row.octets();
    let mut world = World::named(format!("mtu {}", row.name()), 1);
    world.keep_octets(0);
    let addresses = if row.v6 { V6 } else { V4 };
    let remote = Endpoint::new(addresses.1.parse::<std::net::IpAddr>().expect("an address").into(), PORT);
    let offload = |on| if on { Offload { checksum: true, segmentation: 65_535 } } else { Offload::NONE };
    let host = |address, on| {
        let config = Config { mtu: row.device, offload: offload(on), trace: false, ..config(address) };
        Host::new(config, [7; 32])
    };
    let client = Client::new(remote, Behaviour::exchange(octets, 0));
    let server = Server::new(remote, Behaviour::exchange(0, octets));
    world.add("client", Edge::new(host(addresses.0, column.cuts).with(client), false));
    let mut behind = Edge::new(host(addresses.1, column.joins).with(server), column.joins);
    if let Some(path) = row.path {
        behind = behind.behind_router(octets / 2, path);
    }
    world.add("server", behind);
    world.connect_both(CLIENT, SERVER, LINK.parse::<LinkConfig>().expect("a link"));
    let places = Places::new(octets, row.segments(), |n| draw(row, n));
    let places = Rc::new(RefCell::new(places));
    let planned = places.borrow().len();
    if row.loses {
        let places = Rc::clone(&places);
        world.scenario(CLIENT, move |p| places.borrow_mut().takes(p.packet).then_some(Fault::Drop));
    }
    world.run_to_end(secs(120));

    let (sender, receiver) = (world.peer::<Edge>(CLIENT), world.peer::<Edge>(SERVER));
    let sent = sender.host.app::<Client>().outcomes().next().expect("a connection");
    let received = receiver.host.app::<Server>().outcomes().next().expect("a connection");
    assert!(sent.is_complete(octets, 0), "sender: {sent:?}");
    assert!(received.is_complete(0, octets), "receiver: {received:?}");
    let (device, path) = (usize::from(row.device), row.path.map(usize::from));
    let seen = sender.seen;
    assert_eq!((seen.told, seen.longest_before), (row.path, device), "{seen:?}");
    assert_eq!(seen.longest_since, path.unwrap_or(0), "{seen:?}");
    // The largest device has no room for two segments in one packet, until the path takes less.
    let runs = device <= 9000 || path.is_some();
    assert_eq!(receiver.joined > 0, column.joins && runs, "{} were joined to others", receiver.joined);
    assert_eq!(sender.runs() > 0, column.cuts && runs, "{} packets were cut", sender.runs());
    let counters = sender.host.stack().counters();
    if row.loses {
        let lost = planned - places.borrow().len();
        assert!(lost * 200 > octets as usize / row.device as usize, "{lost} of {planned} were lost");
    } else {
        assert_eq!(counters.tcp_timeouts, 0, "no time is lost where nothing is");
    }
    let took = received.last_octet_at.expect("it is complete").saturating_since(Instant::ZERO);
    octets as f64 / took.as_secs_f64()
}

fn table(shown: &BTreeMap<(Row, Column), f64>) -> (String, Vec<String>) {
    let mut out = format!(
        "Goodput in Mbit/s over a link of {LINK}, by what the devices do (see tests/sim/mtu.rs), and the slowest\n\
         as a part of the best of its row. The path becomes so small in mid-transfer; loss is of data alone.\n\n\
         family device   path   loss"
    );
    COLUMNS.iter().for_each(|(name, _)| out += &format!("{name:>10}"));
    out += "     least\n";
    let mut slow = Vec::new();
    for row in Row::all() {
        let cells = COLUMNS.map(|(_, column)| shown.get(&(row, column)).copied().unwrap_or(f64::NAN));
        let best = cells.iter().copied().fold(0.0, f64::max);
        let least = cells.iter().copied().fold(f64::MAX, f64::min) / best;
        out += &row.name();
        // Writing to a `String` cannot fail.
        for cell in cells {
            let _ = write!(out, "{:>10.1}", cell * 8e-6);
        }
        let line = format!("{least:>10.2}\n");
        out += &line;
        if !cells.iter().all(|&cell| cell >= LEAST * best) {
            slow.push(format!("{}: {cells:.0?} octets a second", row.name()));
        }
    }
    (out, slow)
}

#[test]
fn every_mtu_is_as_fast_with_offload_as_without() {
    let worlds: Vec<_> =
        Row::all().into_iter().flat_map(|row| COLUMNS.map(|(_, column)| (row, column))).collect();
    let (next, shown) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&(row, column)) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let goodput = run(row, column);
                    shown.lock().expect("no panic inside").insert((row, column), goodput);
                }
            });
        }
    });
    let (table, slow) = table(&shown.into_inner().expect("no panic inside"));
    println!("{table}");
    assert!(slow.is_empty(), "more than a fifth slower than the best of the row: {slow:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, table).expect("the table can be written");
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = known.lines().zip(table.lines()).filter(|(old, new)| old != new);
    let differences: String = lines.map(|(old, new)| format!("\n- {old}\n+ {new}")).collect();
    assert!(
        known == table,
        "the goodputs are not those of {TABLE}; if that is meant, run with UPDATE=1{differences}"
    );
}

//! Nanoseconds of each step: a segment sent, received, acknowledged, of MTU size and of 64 KiB; the walk over options, the
//! checksum, the connection table, the timing wheel.
//!
//! `cargo bench -p tunstack-benches --bench steps`

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tunstack_benches::{Pair, Passage, Setting, Way};
use tunstack_core::addr::{Endpoint, Quad};
use tunstack_core::stack::table::Table;
use tunstack_core::stack::wheel::Wheel;
use tunstack_core::time::{Duration, Instant};
use tunstack_core::wire::checksum::Sum;
use tunstack_core::wire::options::Options;

const SMALL: Setting = Setting { mtu: 1500, segmentation: 0, buffers: 256 << 10, passage: Passage::Kept };
const LARGE: Setting = Setting { segmentation: 65_535, ..SMALL };

/// What of a turn is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Send,
    Receive,
    Acknowledge,
}

/// How long the part took for `packets` packets.
fn transfer(setting: Setting, part: Part, packets: u64) -> time::Duration {
    let mut now = Instant::from_secs(1);
    let mut pair = Pair::connected(setting, now).expect("they connect");
    let text = Bytes::from(vec![0x5a; 64 << 10]);
    let mut room = vec![0; 64 << 10];
    let mut spent = [time::Duration::ZERO; 3];
    let (mut passed, mut warm) = (0, 60);
    while passed < packets {
        now += Duration::from_micros(40);
        pair.write(&text, Way::Copied, now).expect("it is connected");
        let began = time::Instant::now();
        pair.send_there(now, if setting.segmentation == 0 { 45 } else { 1 });
        let sent = time::Instant::now();
        let under_way = pair.there.len() as u64;
        pair.carry_there(now, 0);
        let received = time::Instant::now();
        pair.read(&mut room, Way::Copied).expect("it is connected");
        let read = time::Instant::now();
        pair.carry_back(now);
        let acknowledged = time::Instant::now();
        if warm > 0 {
            warm -= 1;
            continue;
        }
        passed += under_way;
        spent[Part::Send as usize] += sent - began;
        spent[Part::Receive as usize] += received - sent;
        spent[Part::Acknowledge as usize] += acknowledged - read;
    }
    // The last turn may have had more than was left.
    spent[part as usize].mul_f64(packets as f64 / passed as f64)
}

fn segments(c: &mut Criterion) {
    let mut group = c.benchmark_group("segment");
    for (size, setting) in [("MTU", SMALL), ("64 KiB", LARGE)] {
        for (name, part) in
            [("sent", Part::Send), ("received", Part::Receive), ("acknowledged", Part::Acknowledge)]
        {
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter_custom(|packets| transfer(setting, part, packets));
            });
        }
    }
    group.finish();
}

fn options(c: &mut Criterion) {
    let mut blocks = vec![1, 1, 8, 10];
    blocks.extend([7; 8]);
    c.bench_function("options/timestamps", |b| b.iter(|| Options::parse(black_box(&blocks[..12]))));
    let plain = blocks.clone();
    blocks.extend([1, 1, 5, 26]);
    blocks.extend([9; 24]);
    assert_eq!(plain.len(), 12);
    c.bench_function("options/timestamps and SACK", |b| b.iter(|| Options::parse(black_box(&blocks))));
}

fn checksum(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    for size in [20, 1448, 64 << 10] {
        let text = vec![0xa5; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| Sum::new().add(black_box(&text)).finish());
        });
    }
    group.finish();
}

fn table(c: &mut Criterion) {
    let mut group = c.benchmark_group("table");
    let local = Endpoint::new(Ipv4Addr::new(10, 7, 0, 2).into(), 80);
    for count in [1000u32, 100_000] {
        let remote = |n: u32| Ipv4Addr::from(0x0a08_0000 + n / 1000).into();
        let quads: Vec<Quad> = (0..count)
            .map(|n| Quad { local, remote: Endpoint::new(remote(n), (n % 1000) as u16 + 1024) })
            .collect();
        let quad_of = |slot: u32| quads[slot as usize];
        let mut table = Table::new([7; 16]);
        for (slot, quad) in (0..).zip(&quads) {
            table.insert(table.key(quad), slot, quad_of);
        }
        let mut next = quads.iter().cycle();
        group.bench_function(BenchmarkId::new("find", count), |b| {
            b.iter(|| table.find(next.next().expect("it goes around"), quad_of));
        });
    }
    group.finish();
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel");
    for count in [1000u32, 100_000] {
        let mut wheel = Wheel::new();
        let mut now = 1;
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(BenchmarkId::new("arm and expire", count), |b| {
            b.iter(|| {
                for slot in 0..count {
                    wheel.arm(slot, Instant::from_millis(now + u64::from(slot.wrapping_mul(7) % 1000)));
                }
                now += 1000;
                let mut steps = u32::MAX;
                while wheel.expired(Instant::from_millis(now), &mut steps).is_some() {}
            });
        });
    }
    group.finish();
}

criterion_group!(benches, segments, options, checksum, table, wheel);
criterion_main!(benches);

//! The steps that are counted.

use std::error::Error;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tunstack_benches::{Pair, Passage, Setting, Way};
use tunstack_core::addr::{Endpoint, Quad};
use tunstack_core::error::Error as StackError;
use tunstack_core::stack::table::Table;
use tunstack_core::stack::wheel::Wheel;
use tunstack_core::stack::{Stack, drive};
use tunstack_core::time::{Duration, Instant};
use tunstack_core::wire::checksum::Sum;
use tunstack_core::wire::options::Options;

use crate::allocator;

/// One of them.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Does it, and gives how often.
    run: fn() -> Result<u64, Box<dyn Error>>,
}

const fn step(name: &'static str, run: fn() -> Result<u64, Box<dyn Error>>) -> Step {
    Step { name, run }
}

/// All of them. A segment is of 1448 octets, a large one up to 64 KiB, which stands for 44 or 45 of them.
pub(crate) const STEPS: [Step; 20] = [
    step("segment written", || transfer(SMALL, Part::Write)),
    step("segment sent", || transfer(SMALL, Part::Send)),
    step("segment received", || transfer(SMALL, Part::Receive)),
    step("segment read", || transfer(SMALL, Part::Read)),
    step("ACK sent", || transfer(SMALL, Part::SendAck)),
    step("ACK received", || transfer(SMALL, Part::ReceiveAck)),
    step("large segment written", || transfer(LARGE, Part::Write)),
    step("large segment sent", || transfer(LARGE, Part::Send)),
    step("large segment received", || transfer(LARGE, Part::Receive)),
    step("large segment read", || transfer(LARGE, Part::Read)),
    step("large segment: ACK sent", || transfer(LARGE, Part::SendAck)),
    step("large segment: ACK received", || transfer(LARGE, Part::ReceiveAck)),
    step("echo: request received", || echo(Part::Receive)),
    step("echo: reply written", || echo(Part::Write)),
    step("echo: reply sent", || echo(Part::Send)),
    step("connection with one request", connection),
    step("options walked", options),
    step("checksum of 1448 octets", checksum),
    step("connection found", table),
    step("deadline armed and due", wheel),
];

const SMALL: Setting = Setting { mtu: 1500, segmentation: 0, buffers: 256 << 10, passage: Passage::Kept };
const LARGE: Setting = Setting { segmentation: 65_535, ..SMALL };

/// How often what was counted had memory allocated.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Runs them all, and writes to standard output how often each was done and had memory allocated.
pub(crate) fn run_all() -> Result<(), Box<dyn Error>> {
    for step in &STEPS {
        let times = (step.run)()?;
        println!("{times} {}", ALLOCATIONS.swap(0, Ordering::Relaxed));
        end_of_step();
    }
    Ok(())
}

/// What runs in here is counted.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// What was counted so far is one step's.
#[inline(never)]
fn end_of_step() {
    black_box(());
}

fn count<T>(condition: bool, work: impl FnOnce() -> T) -> T {
    if !condition {
        return work();
    }
    let before = allocator::asked();
    let result = counted(work);
    ALLOCATIONS.fetch_add(allocator::asked() - before, Ordering::Relaxed);
    result
}

/// What is counted of a transfer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Write,
    Send,
    Receive,
    Read,
    SendAck,
    ReceiveAck,
}

/// Turns of a transfer in which all is at its steady state, and those before it.
const TURNS: u32 = 40;
const WARM: u32 = 60;

/// Moves octets, 64 KiB a turn or what a window lets go, and gives how many packets the part dealt with.
fn transfer(setting: Setting, part: Part) -> Result<u64, Box<dyn Error>> {
    let mut now = Instant::from_secs(1);
    let mut pair = Pair::connected(setting, now)?;
    let text = Bytes::from(vec![0x5a; 64 << 10]);
    let mut room = vec![0; 64 << 10];
    let batch = if setting.segmentation == 0 { 45 } else { 1 };
    let (mut packets, mut acks) = (0, 0);
    for turn in 0..WARM + TURNS {
        let on = |p: Part| p == part && turn >= WARM;
        now += Duration::from_micros(20);
        count(on(Part::Write), || pair.write(&text, Way::Copied, now))?;
        for _ in 0..batch {
            let Some(datagram) = count(on(Part::Send), || pair.client.poll_transmit(now)) else { break };
            pair.there.push(&datagram);
        }
        while pair.client.poll_event().is_some() {}
        while pair.there.pop(|packet| {
            packets += u64::from(turn >= WARM);
            count(on(Part::Receive), || pair.server.receive(now, packet));
        }) {}
        while pair.server.poll_event().is_some() {}
        now += Duration::from_micros(20);
        count(on(Part::Read), || pair.read(&mut room, Way::Copied))?;
        while let Some(datagram) = count(on(Part::SendAck), || pair.server.poll_transmit(now)) {
            pair.back.push(&datagram);
        }
        while pair.back.pop(|packet| {
            acks += u64::from(turn >= WARM);
            count(on(Part::ReceiveAck), || pair.client.receive(now, packet));
        }) {}
        while pair.client.poll_event().is_some() {}
    }
    Ok(if matches!(part, Part::SendAck | Part::ReceiveAck) { acks } else { packets })
}

/// Requests of one octet, each with the acknowledgment of the reply before it, and replies as short. All that the server asks
/// for to leave is counted, that there is no more of it too.
fn echo(part: Part) -> Result<u64, Box<dyn Error>> {
    let mut now = Instant::from_secs(1);
    let mut pair = Pair::connected(SMALL, now)?;
    let mut room = [0; 64];
    for turn in 0..WARM + TURNS {
        let on = |p: Part| p == part && turn >= WARM;
        now += Duration::from_micros(20);
        pair.client.try_write(pair.from, b"x", now)?;
        pair.send_there(now, usize::MAX);
        while pair.there.pop(|packet| {
            count(on(Part::Receive), || pair.server.receive(now, packet));
        }) {}
        while pair.server.poll_event().is_some() {}
        let read = pair.server.try_read(pair.to, &mut room)?;
        let reply = room.get(..read).unwrap_or_default();
        count(on(Part::Write), || pair.server.try_write(pair.to, reply, now))?;
        while let Some(datagram) = count(on(Part::Send), || pair.server.poll_transmit(now)) {
            pair.back.push(&datagram);
        }
        pair.carry_back(now);
        if pair.client.try_read(pair.from, &mut room)? != 1 {
            return Err("one octet is asked and answered".into());
        }
    }
    Ok(TURNS.into())
}

/// Connections, each with a request of one octet and a reply as short, which the client ends. All that the server does for one
/// is counted, with a turn of its loop for each packet.
fn connection() -> Result<u64, Box<dyn Error>> {
    let mut now = Instant::from_secs(1);
    let mut pair = Pair::connected(SMALL, now)?;
    for turn in 0..WARM + TURNS {
        pair.connect(now)?;
        pair.to = pair.listener;
        let (mut asked, mut answered) = (false, false);
        while serve(&mut pair, now, turn >= WARM)? {
            now += Duration::from_micros(20);
            while pair.back.pop(|packet| _ = pair.client.receive(now, packet)) {}
            if !asked {
                asked = pair.client.try_write(pair.from, b"x", now).is_ok();
            }
            if !answered && pair.client.try_read(pair.from, &mut [0; 64]) == Ok(1) {
                answered = true;
                pair.client.close(pair.from, now)?;
            }
        }
        if !answered || pair.server.state(pair.to).is_some() {
            return Err("a connection is made, used and closed".into());
        }
    }
    Ok(TURNS.into())
}

/// The client sends what it has; the server answers, and counts it if it is to. Says whether there was any.
fn serve(pair: &mut Pair, now: Instant, on: bool) -> Result<bool, StackError> {
    pair.send_there(now, usize::MAX);
    let Pair { server, to, listener, there, back, .. } = pair;
    let mut reply = |server: &mut Stack| -> Result<(), StackError> {
        if to == listener {
            *to = server.try_accept(*listener)?;
        }
        let mut room = [0; 64];
        let read = server.try_read(*to, &mut room)?;
        match room.get(..read).unwrap_or_default() {
            [] => server.close(*to, now),
            text => server.try_write(*to, text, now).map(drop),
        }
    };
    let (mut any, mut outcome) = (false, Ok(()));
    while there.pop(|packet| {
        any = true;
        count(on, || {
            server.receive(now, packet);
            outcome = outcome.and(reply(server));
            drive(server, now, |datagram| back.push(&datagram), |_| {});
        });
    }) {}
    match outcome {
        Ok(()) | Err(StackError::WouldBlock | StackError::BadSocket) => Ok(any),
        Err(error) => Err(error),
    }
}

const TIMES: u64 = 1000;

/// Those of a segment in order, and of an ACK with three blocks.
fn options() -> Result<u64, Box<dyn Error>> {
    let mut plain = vec![1, 1, 8, 10];
    plain.extend([7; 8]);
    let mut blocks = plain.clone();
    blocks.extend([1, 1, 5, 26]);
    blocks.extend([9; 24]);
    count(true, || {
        for _ in 0..TIMES / 2 {
            black_box(Options::parse(black_box(&plain)));
            black_box(Options::parse(black_box(&blocks)));
        }
    });
    Ok(TIMES)
}

fn checksum() -> Result<u64, Box<dyn Error>> {
    let text = vec![0xa5; 1448];
    count(true, || {
        for _ in 0..TIMES {
            black_box(Sum::new().add(black_box(&text)).finish());
        }
    });
    Ok(TIMES)
}

/// One of a thousand connections.
fn table() -> Result<u64, Box<dyn Error>> {
    let local = Endpoint::new(Ipv4Addr::new(10, 7, 0, 2).into(), 80);
    let remote = |port| Endpoint::new(Ipv4Addr::new(10, 7, 0, 1).into(), port);
    let quads: Vec<Quad> = (1000..2000).map(|port| Quad { local, remote: remote(port) }).collect();
    let quad_of = |slot: u32| quads[slot as usize];
    let mut table = Table::new([7; 16]);
    for (slot, quad) in (0..).zip(&quads) {
        table.insert(table.key(quad), slot, quad_of);
    }
    let found = count(true, || quads.iter().filter(|quad| table.find(quad, quad_of).is_some()).count());
    if found != quads.len() {
        return Err(format!("{found} of {} connections were found", quads.len()).into());
    }
    Ok(found as u64)
}

/// A thousand deadlines within a second.
fn wheel() -> Result<u64, Box<dyn Error>> {
    let mut wheel = Wheel::new();
    // Its memory is there before.
    (0..1000).for_each(|slot| wheel.arm(slot, Instant::from_millis(1)));
    let mut steps = u32::MAX;
    while wheel.expired(Instant::from_millis(2), &mut steps).is_some() {}
    let due = count(true, || {
        for slot in 0..1000 {
            wheel.arm(slot, Instant::from_millis(3 + u64::from(slot * 7 % 1000)));
        }
        (3..=1003)
            .map(|ms| core::iter::from_fn(|| wheel.expired(Instant::from_millis(ms), &mut steps)).count())
            .sum::<usize>()
    });
    if due != 1000 {
        return Err(format!("{due} deadlines of 1000 came up").into());
    }
    Ok(1000)
}

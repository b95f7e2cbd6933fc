//! The servers: the same services over the kernel's sockets and over this stack's.
//!
//! Whoever started this process talks with it over standard input and output: `src/cli/bench.rs` says how, at
//! `--peer-command`. The kernel's server says `here` first, and waits for `linked`: its interface is given to it.

mod sockets;

mod kernel;

mod ours;

mod connection;

mod event_loop;

pub(super) mod idle;

mod datagrams;

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use clap::ValueEnum;
use tunstack::core::config::Config;
use tunstack::device::netlink;
use tunstack::device::setup::bring_up_queues;
use tunstack::engine::Engine;

use super::super::common::Common;
use super::super::output::{Failure, complain};
use super::super::run::device_failure;
use super::lanes;
use connection::Service;
use event_loop::EventLoop;
use sockets::Sockets;

/// Takes everything.
pub(super) const DISCARD: u16 = 5001;
/// Sends without end.
pub(super) const SOURCE: u16 = 5002;
/// Send back what they get: several, as one gives a client no more connections in a minute than it has ports.
pub(super) const ECHO: [u16; 4] = [5003, 5013, 5023, 5033];
pub(super) const HTTP: u16 = 5004;
/// Sends back what it gets, on any number of connections.
pub(super) const CROWD: u16 = 5005;

/// Octets in one call to read or write.
pub(super) const PIECE: usize = 128 << 10;

/// Connections that wait for a program to accept them.
pub(super) const BACKLOG: i32 = 4096;
const DESCRIPTORS: u64 = 1 << 16;

/// Whose sockets serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Side {
    Kernel,
    Stack,
}

/// What has come.
#[derive(Debug, Default)]
struct Counted {
    octets: AtomicU64,
    datagrams: AtomicU64,
    datagram_octets: AtomicU64,
}

/// Serves until standard input ends.
pub(super) fn main(side: Side, common: &Common) -> Result<(), Failure> {
    let counted = Arc::new(Counted::default());
    let served = raise_limit().and_then(|()| match side {
        Side::Kernel => {
            linked(common.mtu)?;
            serve(&kernel::Kernel::new(lanes::FAR_ADDRESS), &counted)
        }
        Side::Stack => serve(&stack(common)?, &counted),
    });
    match served {
        Ok(()) => {
            say(format_args!("ready {}", if side == Side::Kernel { "kernel" } else { "tunstack" }))?;
            answer(&counted)
        }
        Err(Failure::Failed(why) | Failure::Usage(why)) => {
            say(format_args!("failed {why}"))?;
            Err(Failure::Told)
        }
        Err(other) => Err(other),
    }
}

/// Descriptors for a crowd on any port, or as many as this process may have.
pub(super) fn raise_limit() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = |most| setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let hard = getrlimit(Resource::Nofile).maximum;
    if hard.is_none_or(|hard| hard >= DESCRIPTORS) || most(Some(DESCRIPTORS)).is_err() {
        most(hard).map_err(|e| Failure::of("cannot have more descriptors", &e.into()))?;
    }
    Ok(())
}

/// Waits for the interface, and brings it up.
fn linked(mtu: u32) -> Result<(), Failure> {
    lanes::settings()?;
    say(format_args!("here"))?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|e| Failure::of("cannot read standard input", &e))?;
    if line.trim() != "linked" {
        return Err(Failure::Failed(format!("told {line:?} instead of \"linked\"")));
    }
    netlink::set_up("lo", true).map_err(device_failure)?;
    netlink::set_mtu(lanes::FAR, mtu).map_err(device_failure)?;
    netlink::add_address(lanes::FAR, lanes::FAR_ADDRESS.into(), lanes::PREFIX, None)
        .map_err(device_failure)?;
    netlink::set_up(lanes::FAR, true).map_err(device_failure)
}

fn stack(common: &Common) -> Result<ours::Ours, Failure> {
    let tun = tunstack::device::setup::TunConfig {
        offload: common.offload,
        queues: common.shards,
        uring: !common.no_uring,
        gro: common.gro,
        ..lanes::tun(common.mtu)
    };
    let config = Config { addresses: tun.addr.into_iter().collect(), ..Config::default() };
    let queues = bring_up_queues(&tun).map_err(device_failure)?;
    if let (true, Some(queue)) = (common.steer, queues.first()) {
        lanes::steer(queue.name(), common.shards)?;
    }
    let builder = Engine::builder().config(config).queues(queues);
    let engine = match common.spin {
        Some(time) => builder.spin(time).start(),
        None => builder.start(),
    };
    Ok(ours::Ours::new(engine.map_err(|e| Failure::of("cannot start the stack", &e))?))
}

fn serve<S: Sockets>(sockets: &S, counted: &Arc<Counted>) -> Result<(), Failure> {
    let failed = |port| move |e| Failure::of(format!("cannot use port {port}"), &e);
    let echoes = ECHO.into_iter().chain([CROWD]).map(|port| (port, Service::Echo));
    let all = [(DISCARD, Service::Discard), (SOURCE, Service::Source), (HTTP, Service::Http)];
    let listen = |(port, service)| Ok((sockets.listen(port).map_err(failed(port))?, service));
    let listeners = all.into_iter().chain(echoes).map(listen).collect::<Result<_, Failure>>()?;
    let counts = Arc::clone(counted);
    thread::spawn(move || {
        let Err(e) = EventLoop::<S>::new(listeners, counts).and_then(EventLoop::run);
        // Whoever measures is to see an end, and not silence.
        complain(&format!("bench: the server's poll has failed: {e}"));
        std::process::exit(1);
    });
    let (discard, source) = (sockets.bind(DISCARD), sockets.bind(SOURCE));
    let (discard, source) = (discard.map_err(failed(DISCARD))?, source.map_err(failed(SOURCE))?);
    let counts = Arc::clone(counted);
    thread::spawn(move || datagrams::discard::<S>(&discard, &counts));
    thread::spawn(move || datagrams::source::<S>(&source));
    Ok(())
}

/// Answers what is asked until nobody can ask any more.
fn answer(counted: &Counted) -> Result<(), Failure> {
    for line in io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("count") => say(format_args!(
                "count {} {} {}",
                counted.octets.load(Relaxed),
                counted.datagrams.load(Relaxed),
                counted.datagram_octets.load(Relaxed)
            ))?,
            Ok(other) => return Err(Failure::Failed(format!("asked {other:?} instead of \"count\""))),
            Err(_) => break,
        }
    }
    Ok(())
}

fn say(line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| Failure::of("nobody listens", &e))
}

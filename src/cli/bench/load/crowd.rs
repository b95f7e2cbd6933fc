//! Many connections at once: how fast they come, what they take, and echoes over all of them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::super::figures::{Reading, Times};
use super::super::lanes::Lane;
use super::super::plan::Plan;
use super::super::proc;
use super::super::serve::CROWD;
use super::{Failure, SETTLE, SILENCE, abort, broken, cannot_connect, connect, dial, limit};

/// Echoes under way at a time.
const IN_FLIGHT: usize = 32;
const EVENTS: usize = 256;

pub(super) fn measure(connections: usize, lane: &mut Lane, plan: &Plan) -> Result<Vec<Reading>, Failure> {
    // What the first one makes for all is not a cost of each.
    let mut first = connect(lane.at(CROWD))?;
    echo(&mut first).map_err(|e| broken("crowd", lane, &e))?;
    thread::sleep(SETTLE);
    let (resident, slab) = (lane.resident()?, proc::slab()?);
    let begun = Instant::now();
    let streams = (0..connections).map(|_| dial(lane.at(CROWD))).collect::<io::Result<Vec<_>>>();
    let connected = begun.elapsed().as_secs_f64();
    let mut streams = streams.map_err(|e| cannot_connect(lane.at(CROWD), &e))?;
    for stream in &mut streams {
        limit(stream).and_then(|()| echo(stream)).map_err(|e| broken("crowd", lane, &e))?;
    }
    thread::sleep(SETTLE);
    let grown = lane.resident()? - resident;
    let slab = proc::slab()? - slab;
    let begun = Instant::now();
    let mut times = echoes(&mut streams, plan.seconds).map_err(|e| broken("crowd", lane, &e))?;
    let took = begun.elapsed().as_secs_f64();
    streams.into_iter().for_each(abort);
    Ok(vec![
        Reading::new("connects", connections as f64 / connected),
        Reading::new("echoes", times.count() as f64 / took),
        Reading::new("echo_p50", times.percentile(50.0)),
        Reading::new("echo_p99", times.percentile(99.0)),
        Reading::new("resident", grown / connections as f64),
        Reading::new("slab", slab / connections as f64),
    ])
}

fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let mut octet = [b'x'];
    stream.write_all(&octet)?;
    stream.read_exact(&mut octet)
}

/// Asks on one connection after the other, so many at a time, whichever answers first.
fn echoes(streams: &mut [TcpStream], time: Duration) -> io::Result<Times> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (n, stream) in streams.iter().enumerate() {
        epoll::add(&epoll, stream, epoll::EventData::new_u64(n as u64), epoll::EventFlags::IN)?;
    }
    let mut asked = vec![None; streams.len()];
    let mut next = 0;
    let mut ask = |streams: &mut [TcpStream], asked: &mut [Option<Instant>]| {
        // One that has not answered yet is passed over.
        let free = (0..streams.len()).map(|n| (next + n) % streams.len()).find(|n| asked[*n].is_none());
        let Some(n) = free else { return Ok(()) };
        next = (n + 1) % streams.len();
        asked[n] = Some(Instant::now());
        streams[n].write_all(b"x")
    };
    for _ in 0..IN_FLIGHT {
        ask(streams, &mut asked)?;
    }
    let mut times = Times::default();
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
    let patience = Timespec { tv_sec: SILENCE.as_secs().cast_signed(), tv_nsec: 0 };
    let begun = Instant::now();
    while times.count() == 0 || begun.elapsed() < time {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&patience)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        for event in &events {
            let n = event.data.u64() as usize;
            let mut octet = [0];
            streams[n].read_exact(&mut octet)?;
            if let Some(at) = asked[n].take() {
                times.push(at.elapsed());
            }
            ask(streams, &mut asked)?;
        }
    }
    Ok(times)
}

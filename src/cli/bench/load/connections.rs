//! Connections that are opened and closed, each thread one after the other.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::super::figures::{Reading, Times};
use super::super::lanes::Lane;
use super::super::plan::Plan;
use super::super::serve::{BACKLOG, ECHO};
use super::{Failure, SILENCE, broken, dial};

/// After a connection that failed.
const PAUSE: Duration = Duration::from_millis(1);
/// About so many connections may wait in a queue for the server to accept them. A SYN that finds it full is lost for a
/// second, which would be the figure then: over veth a client that only connects never waits for the server.
const AHEAD: usize = BACKLOG as usize / 2;

#[derive(Default)]
struct Done {
    times: Times,
    failed: u64,
    last: Option<io::Error>,
}

pub(super) fn measure(
    request: bool,
    in_flight: usize,
    lane: &mut Lane,
    plan: &Plan,
) -> Result<Vec<Reading>, Failure> {
    // Threads of the server start, and both ends' tables grow.
    run(request, in_flight, lane, plan.warm_up() / 4);
    let before = lane.cpu()?;
    let begun = Instant::now();
    let mut done = run(request, in_flight, lane, plan.seconds);
    let took = begun.elapsed().as_secs_f64();
    let cpu = lane.cpu()?.since(before).total().as_secs_f64();
    if let (0, Some(error)) = (done.times.count(), &done.last) {
        return Err(broken("connections", lane, error));
    }
    Ok(vec![
        Reading::new("connections", done.times.count() as f64 / took),
        Reading::new("connection_p50", done.times.percentile(50.0)),
        Reading::new("connection_p99", done.times.percentile(99.0)),
        Reading::new("cpu_each", cpu / done.times.count().max(1) as f64),
        Reading::new("failed", done.failed as f64),
    ])
}

fn run(request: bool, in_flight: usize, lane: &Lane, time: Duration) -> Done {
    let ports = ECHO.map(|port| lane.at(port));
    let end = Instant::now() + time;
    let threads: Vec<_> =
        (0..in_flight).map(|n| thread::spawn(move || work(request, &ports, n, in_flight, end))).collect();
    let mut all = Done::default();
    for thread in threads {
        let done = thread.join().unwrap_or_else(|_| Done {
            failed: 1,
            last: Some(io::Error::other("the thread panicked")),
            ..Done::default()
        });
        all.times.append(done.times);
        all.failed += done.failed;
        all.last = done.last.or(all.last);
    }
    all
}

fn work(request: bool, ports: &[SocketAddr], n: usize, in_flight: usize, end: Instant) -> Done {
    let mut done = Done::default();
    // A port's server accepts in order: who has an answer knows that all before at that port have been accepted. The
    // number is odd, so that each port has its turn.
    let share = (AHEAD / in_flight) | 1;
    let mut turn = n;
    loop {
        let begun = Instant::now();
        turn += 1;
        let request = request || turn.is_multiple_of(share);
        match once(request, ports[turn % ports.len()]) {
            Ok(()) => done.times.push(begun.elapsed()),
            Err(e) => {
                done.failed += 1;
                done.last = Some(e);
                thread::sleep(PAUSE);
            }
        }
        // Even the last thread to start has had one.
        if Instant::now() >= end {
            return done;
        }
    }
}

fn once(request: bool, to: SocketAddr) -> io::Result<()> {
    let mut stream = dial(to)?;
    if request {
        let mut octet = [b'x'];
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(&octet)?;
        stream.read_exact(&mut octet)?;
    }
    Ok(())
}

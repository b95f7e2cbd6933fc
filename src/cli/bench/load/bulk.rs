//! As many octets as go, by a thread for each connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use super::super::figures::Reading;
use super::super::lanes::Lane;
use super::super::plan::{Plan, Way};
use super::super::proc::Cpu;
use super::super::serve::{DISCARD, PIECE, SOURCE};
use super::{Failure, abort, broken, connect};

/// What the threads have in common.
#[derive(Default)]
struct Common {
    stop: AtomicBool,
    /// Octets that have come.
    received: AtomicU64,
}

pub(super) fn measure(
    way: Way,
    streams: usize,
    lane: &mut Lane,
    plan: &Plan,
) -> Result<Vec<Reading>, Failure> {
    let common = Arc::new(Common::default());
    let mut running = Vec::new();
    for (port, wanted) in [(DISCARD, way != Way::Down), (SOURCE, way != Way::Up)] {
        for _ in 0..if wanted { streams } else { 0 } {
            let stream = connect(lane.at(port))?;
            let other = stream.try_clone().map_err(|e| broken("bulk", lane, &e))?;
            let common = Arc::clone(&common);
            let work = move || if port == DISCARD { send(other, &common) } else { receive(other, &common) };
            running.push((stream, thread::spawn(work)));
        }
    }
    thread::sleep(plan.warm_up());
    let before = look(lane, &common)?;
    thread::sleep(plan.seconds);
    let after = look(lane, &common)?;
    common.stop.store(true, Relaxed);
    for (stream, thread) in running {
        // Wakes a thread that waits in the stream. It may have been reset by the other end.
        let _ = stream.shutdown(Shutdown::Both);
        let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")));
        abort(stream);
        ended.map_err(|e| broken("bulk", lane, &e))?;
    }
    let seconds = (after.at - before.at).as_secs_f64();
    let octets = (after.octets - before.octets) as f64;
    let cpu = after.cpu.since(before.cpu);
    let per_kib = |time: std::time::Duration| time.as_nanos() as f64 / (octets / 1024.0).max(1.0);
    Ok(vec![
        Reading::new("throughput", octets / seconds),
        Reading::new("cpu", per_kib(cpu.total())),
        Reading::new("cpu_user", per_kib(cpu.user)),
        Reading::new("cpu_system", per_kib(cpu.system)),
    ])
}

struct Look {
    at: Instant,
    cpu: Cpu,
    octets: u64,
}

/// What programs have had by now, at either end.
fn look(lane: &mut Lane, common: &Common) -> Result<Look, Failure> {
    let at = Instant::now();
    let octets = lane.count()?.octets + common.received.load(Relaxed);
    Ok(Look { at, cpu: lane.cpu()?, octets })
}

/// An error counts unless it is the end's.
fn unless_stopped(result: io::Result<usize>, common: &Common) -> io::Result<Option<usize>> {
    match result {
        _ if common.stop.load(Relaxed) => Ok(None),
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => Ok(Some(n)),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Some(0)),
        Err(e) => Err(e),
    }
}

fn send(mut stream: TcpStream, common: &Common) -> io::Result<()> {
    let piece = vec![b'x'; PIECE];
    while unless_stopped(stream.write(&piece), common)?.is_some() {}
    Ok(())
}

fn receive(mut stream: TcpStream, common: &Common) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while let Some(n) = unless_stopped(stream.read(&mut piece), common)? {
        common.received.fetch_add(n as u64, Relaxed);
    }
    Ok(())
}

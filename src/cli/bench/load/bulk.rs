//! As many octets as go, by a thread for each connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::super::figures::Reading;
use super::super::lanes::Lane;
use super::super::plan::{Plan, Way};
use super::super::proc::{self, Cpu};
use super::super::serve::{DISCARD, PIECE, SOURCE};
use super::{Failure, SILENCE, abort, broken, connect};

/// The time between two looks for what has not begun yet.
const PAUSE: Duration = Duration::from_millis(1);

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
    let mut after = look(lane, &common)?;
    // On a busy machine nobody may have had the processor yet: so little time says nothing of the server.
    while after.octets == before.octets {
        if after.at - before.at > plan.seconds + SILENCE {
            return Err(broken("bulk", lane, &io::ErrorKind::TimedOut.into()));
        }
        thread::sleep(PAUSE);
        after = look(lane, &common)?;
    }
    common.stop.store(true, Relaxed);
    for (stream, thread) in running {
        // Wakes a thread that waits in the stream. It may have been reset by the other end.
        let _ = stream.shutdown(Shutdown::Both);
        let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")));
        abort(stream);
        ended.map_err(|e| broken("bulk", lane, &e))?;
    }
    Ok(readings(&before, &after, proc::hertz()))
}

struct Look {
    at: Instant,
    cpu: Cpu,
    /// Processor time of the whole machine.
    busy: Duration,
    octets: u64,
}

/// What lies between two looks. Cycles are processor time by the nominal frequency, where that is known.
fn readings(before: &Look, after: &Look, hertz: Option<f64>) -> Vec<Reading> {
    let octets = (after.octets - before.octets) as f64;
    let cpu = after.cpu.since(before.cpu);
    let per_kib = |time: Duration| time.as_nanos() as f64 / (octets / 1024.0).max(1.0);
    let mut readings = vec![
        Reading::new("throughput", octets / (after.at - before.at).as_secs_f64()),
        Reading::new("cpu", per_kib(cpu.total())),
        Reading::new("cpu_user", per_kib(cpu.user)),
        Reading::new("cpu_system", per_kib(cpu.system)),
        Reading::new("cpu_machine", per_kib(after.busy.saturating_sub(before.busy))),
    ];
    if let Some(hertz) = hertz {
        let cycles = |time: Duration| per_kib(time) / 1024.0 * hertz / 1e9;
        readings.extend([
            Reading::new("cycles", cycles(cpu.total())),
            Reading::new("cycles_user", cycles(cpu.user)),
            Reading::new("cycles_system", cycles(cpu.system)),
        ]);
    }
    readings
}

/// What programs have had by now, at either end.
fn look(lane: &mut Lane, common: &Common) -> Result<Look, Failure> {
    let at = Instant::now();
    let octets = lane.count()?.octets + common.received.load(Relaxed);
    Ok(Look { at, cpu: lane.cpu()?, busy: proc::busy()?, octets })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_for_a_kib_and_cycles_for_an_octet() {
        let at = Instant::now();
        let look = |seconds, user, system, busy, octets| {
            let [user, system, busy] = [user, system, busy].map(Duration::from_millis);
            Look { at: at + Duration::from_secs(seconds), cpu: Cpu { user, system }, busy, octets }
        };
        let (before, after) = (look(0, 500, 250, 10_000, 4096), look(2, 700, 1050, 12_500, 4096 + (1 << 20)));
        let of = |hertz| {
            let readings = readings(&before, &after, hertz);
            move |name: &str| readings.iter().find(|r| r.name == name).map(|r| r.value)
        };
        let known = of(Some(2.048e9));
        assert_eq!(known("throughput"), Some(524_288.0));
        // 200 ms and 800 ms over 1,024 KiB, and 2.5 s of all processors.
        let times = ["cpu", "cpu_user", "cpu_system", "cpu_machine"].map(&known);
        assert_eq!(times, [976_562.5, 195_312.5, 781_250.0, 2_441_406.25].map(Some));
        // A cycle is 1 / 2.048 ns: two thousandths of the nanoseconds for a KiB.
        let cycles = ["cycles", "cycles_user", "cycles_system"].map(&known);
        assert_eq!(cycles, [1953.125, 390.625, 1562.5].map(Some));
        let unknown = of(None);
        assert_eq!(["cpu", "cycles"].map(unknown), [Some(976_562.5), None]);
    }

    #[test]
    fn nothing_carried_is_no_division_by_nothing() {
        let look = || Look { at: Instant::now(), cpu: Cpu::default(), busy: Duration::ZERO, octets: 7 };
        let (before, mut after) = (look(), look());
        after.at = before.at + Duration::from_secs(1);
        assert!(readings(&before, &after, Some(1e9)).iter().all(|r| r.value == 0.0));
    }
}

//! As many octets as go, by a thread for each connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
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

/// Connections that carry, by a thread for each.
#[derive(Default)]
struct Running {
    common: Arc<Common>,
    threads: Vec<(TcpStream, JoinHandle<io::Result<()>>)>,
}

impl Running {
    fn begin(&mut self, port: u16, stream: TcpStream) -> io::Result<()> {
        let (other, common) = (stream.try_clone()?, Arc::clone(&self.common));
        let work = move || if port == DISCARD { send(other, &common) } else { receive(other, &common) };
        self.threads.push((stream, thread::spawn(work)));
        Ok(())
    }

    /// Whether one has ended before it was to: it has failed.
    fn one_has_failed(&self) -> bool {
        self.threads.iter().any(|(_, thread)| thread.is_finished())
    }

    /// Ends all, and says how the first of them failed, if one did.
    fn end(self) -> io::Result<()> {
        self.common.stop.store(true, Relaxed);
        let mut all = Ok(());
        for (stream, thread) in self.threads {
            // Wakes a thread that waits in the stream. It may have been reset by the other end.
            let _ = stream.shutdown(Shutdown::Both);
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")));
            abort(stream);
            all = all.and(ended);
        }
        all
    }
}

pub(super) fn measure(
    way: Way,
    streams: usize,
    lane: &mut Lane,
    plan: &Plan,
) -> Result<Vec<Reading>, Failure> {
    let mut running = Running::default();
    let looks = begin(way, streams, lane, &mut running).and_then(|()| {
        thread::sleep(plan.warm_up());
        let before = look(lane, &running.common)?;
        thread::sleep(plan.seconds);
        let after =
            when_some_came(&before, &running, plan.seconds + SILENCE, || look(lane, &running.common))?;
        Ok((before, after))
    });
    let ended = running.end();
    // A server that has ended is why its connections have failed, and these are why nothing more came.
    let (before, after) = looks?;
    ended.map_err(|e| broken("bulk", lane, &e))?;
    if after.octets == before.octets {
        return Err(broken("bulk", lane, &io::ErrorKind::TimedOut.into()));
    }
    Ok(readings(&before, &after, proc::hertz()))
}

/// All connect before this end sends or reads: what the first sends would keep the SYNs of the others from the device's queue. A
/// source's server sends at once, but no more than its windows take.
fn begin(way: Way, streams: usize, lane: &Lane, running: &mut Running) -> Result<(), Failure> {
    let mut connected = Vec::new();
    for (port, wanted) in [(DISCARD, way != Way::Down), (SOURCE, way != Way::Up)] {
        for _ in 0..if wanted { streams } else { 0 } {
            connected.push((port, connect(lane.at(port))?));
        }
    }
    for (port, stream) in connected {
        running.begin(port, stream).map_err(|e| broken("bulk", lane, &e))?;
    }
    Ok(())
}

/// Looks until octets have come since `before`; or one of those that run has failed, or none came for longer than `limit`.
///
/// On a busy machine nobody may have had the processor yet: so little time says nothing of the server.
fn when_some_came(
    before: &Look,
    running: &Running,
    limit: Duration,
    mut look: impl FnMut() -> Result<Look, Failure>,
) -> Result<Look, Failure> {
    loop {
        // Before the look: what it brought until it failed is seen.
        let failed = running.one_has_failed();
        let after = look()?;
        if after.octets > before.octets || failed || after.at - before.at > limit {
            return Ok(after);
        }
        thread::sleep(PAUSE);
    }
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
    use std::net::{Ipv4Addr, TcpListener};

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

    /// As where the server closes its connections while its process lives on.
    #[test]
    fn a_stream_that_ends_is_told_and_not_waited_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut running = Running::default();
        let mut far = Vec::new();
        for port in [DISCARD, SOURCE] {
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            running.begin(port, near).unwrap();
            far.push(listener.accept().unwrap().0);
        }
        assert!(!running.one_has_failed());
        far.pop().unwrap().shutdown(Shutdown::Write).unwrap();
        while !running.one_has_failed() {
            thread::yield_now();
        }
        let (begun, mut looks) = (Instant::now(), 0);
        let mut look = || {
            looks += 1;
            let at = begun + Duration::from_secs(looks);
            Ok(Look { at, cpu: Cpu::default(), busy: Duration::ZERO, octets: 7 })
        };
        let before = look().unwrap();
        let after = when_some_came(&before, &running, Duration::from_secs(60), look);
        assert!(after.is_ok_and(|after| after.at - before.at == Duration::from_secs(1)), "the first look");
        assert_eq!(running.end().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn silence_is_waited_for_and_ends_all() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut running = Running::default();
        running.begin(SOURCE, TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
        let (_far, _) = listener.accept().unwrap();
        let (begun, mut looks) = (Instant::now(), 0);
        let mut look = |octets| {
            looks += 1;
            let at = begun + Duration::from_secs(looks);
            Ok(Look { at, cpu: Cpu::default(), busy: Duration::ZERO, octets })
        };
        let before = look(7).unwrap();
        let silent = when_some_came(&before, &running, Duration::from_secs(2), || look(7)).unwrap();
        assert_eq!((silent.octets, silent.at - before.at), (7, Duration::from_secs(3)));
        let came = when_some_came(&before, &running, Duration::from_secs(60), || look(8)).unwrap();
        assert_eq!((came.octets, came.at - silent.at), (8, Duration::from_secs(1)));
        running.end().unwrap();
    }

    #[test]
    fn nothing_carried_is_no_division_by_nothing() {
        let look = || Look { at: Instant::now(), cpu: Cpu::default(), busy: Duration::ZERO, octets: 7 };
        let (before, mut after) = (look(), look());
        after.at = before.at + Duration::from_secs(1);
        assert!(readings(&before, &after, Some(1e9)).iter().all(|r| r.value == 0.0));
    }
}

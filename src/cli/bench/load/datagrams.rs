//! Datagrams, as many as arrive: whoever sends does not wait for whoever receives.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::super::figures::Reading;
use super::super::lanes::Lane;
use super::super::plan::Plan;
use super::super::serve::{DISCARD, SOURCE};
use super::{Failure, SILENCE, broken};

/// The sender looks at the clock after so many.
const BURST: u32 = 16;
/// How long a receiver waits for a datagram after the last.
const QUIET: Duration = Duration::from_millis(50);

pub(super) fn measure(up: bool, octets: u16, lane: &mut Lane, plan: &Plan) -> Result<Vec<Reading>, Failure> {
    let cannot = |e| Failure::of("cannot make a UDP socket", &e);
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(cannot)?;
    socket.connect(lane.at(if up { DISCARD } else { SOURCE })).map_err(cannot)?;
    if up { send(&socket, octets, lane, plan) } else { receive(&socket, octets, lane, plan) }
}

fn send(socket: &UdpSocket, octets: u16, lane: &mut Lane, plan: &Plan) -> Result<Vec<Reading>, Failure> {
    let data = vec![b'x'; octets.into()];
    flood(socket, &data, plan.warm_up() / 4).map_err(|e| broken("udp-up", lane, &e))?;
    let (before, cpu) = (lane.count()?, lane.cpu()?);
    let begun = Instant::now();
    let mut sent = flood(socket, &data, plan.seconds).map_err(|e| broken("udp-up", lane, &e))?;
    let (mut took, mut after) = (begun.elapsed(), lane.count()?);
    // The server's thread has not had the processor yet, or nobody takes anything.
    while after.datagrams == before.datagrams {
        if took > plan.seconds + SILENCE {
            return Err(broken("udp-up", lane, &io::ErrorKind::TimedOut.into()));
        }
        sent += flood(socket, &data, QUIET).map_err(|e| broken("udp-up", lane, &e))?;
        (took, after) = (begun.elapsed(), lane.count()?);
    }
    let (took, cpu) = (took.as_secs_f64(), lane.cpu()?.since(cpu));
    let arrived = after.datagrams - before.datagrams;
    let came = (after.datagram_octets - before.datagram_octets) as f64;
    Ok(vec![
        Reading::new("datagrams", arrived as f64 / took),
        Reading::new("datagram_throughput", came / took),
        Reading::new("sent", sent as f64 / took),
        Reading::new("cpu_each", cpu.total().as_secs_f64() / arrived as f64),
    ])
}

fn flood(socket: &UdpSocket, data: &[u8], time: Duration) -> io::Result<u64> {
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < time {
        for _ in 0..BURST {
            match socket.send(data) {
                Ok(_) => sent += 1,
                // A queue is full.
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(sent)
}

/// What a source of datagrams is asked: a length, and for how long.
fn request(octets: u16, time: Duration) -> [u8; 6] {
    let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    let (length, time) = (octets.to_be_bytes(), millis.to_be_bytes());
    [length[0], length[1], time[0], time[1], time[2], time[3]]
}

/// What has come after the first of a source that was asked to send for some time.
struct Arrivals {
    time: Duration,
    /// When the first came.
    begun: Instant,
    last: Instant,
    datagrams: u64,
    octets: usize,
}

impl Arrivals {
    const fn new(time: Duration, begun: Instant) -> Self {
        Self { time, begun, last: begun, datagrams: 0, octets: 0 }
    }

    const fn came(&mut self, octets: usize, now: Instant) {
        self.datagrams += 1;
        self.octets += octets;
        self.last = now;
    }

    /// Whether these are all. `quiet`: none has come for a while.
    ///
    /// # Errors
    /// The source has failed: it says no more before its time is over, or does not stop.
    fn are_all(&self, quiet: bool, now: Instant) -> io::Result<bool> {
        let elapsed = now - self.begun;
        if quiet && self.datagrams > 0 && elapsed >= self.time {
            return Ok(true);
        }
        // Until then it may wait for the processor.
        if now - self.last > SILENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if elapsed > self.time + SILENCE {
            let time = self.time.as_secs_f64();
            return Err(io::Error::other(format!("asked to send for {time} s, it does not stop")));
        }
        Ok(false)
    }

    /// The time they took: not less than was asked for, of a source that was done sooner.
    fn took(&self) -> Duration {
        (self.last - self.begun).max(self.time)
    }
}

fn receive(socket: &UdpSocket, octets: u16, lane: &mut Lane, plan: &Plan) -> Result<Vec<Reading>, Failure> {
    let failed = |e: &io::Error| broken("udp-down", lane, e);
    let mut buffer = vec![0; 65_535];
    let before = lane.cpu()?;
    socket.send(&request(octets, plan.seconds)).map_err(|e| failed(&e))?;
    socket.set_read_timeout(Some(SILENCE)).map_err(|e| failed(&e))?;
    socket.recv(&mut buffer).map_err(|e| failed(&e))?;
    socket.set_read_timeout(Some(QUIET)).map_err(|e| failed(&e))?;
    let mut arrivals = Arrivals::new(plan.seconds, Instant::now());
    loop {
        let received = socket.recv(&mut buffer);
        let now = Instant::now();
        let quiet = match received {
            Ok(n) => {
                arrivals.came(n, now);
                false
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => true,
            Err(e) => return Err(failed(&e)),
        };
        if arrivals.are_all(quiet, now).map_err(|e| failed(&e))? {
            break;
        }
    }
    let cpu = lane.cpu()?.since(before).total().as_secs_f64();
    let (datagrams, took) = (arrivals.datagrams as f64, arrivals.took().as_secs_f64());
    Ok(vec![
        Reading::new("datagrams", datagrams / took),
        Reading::new("datagram_throughput", arrivals.octets as f64 / took),
        Reading::new("cpu_each", cpu / datagrams),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(2);

    fn at(begun: Instant, millis: u64) -> Instant {
        begun + Duration::from_millis(millis)
    }

    #[test]
    fn a_source_that_is_done_early_is_not_a_fast_one() {
        let begun = Instant::now();
        let mut arrivals = Arrivals::new(TIME, begun);
        for n in 1..=10 {
            arrivals.came(100, at(begun, n));
            assert!(!arrivals.are_all(false, at(begun, n)).unwrap());
        }
        assert!(!arrivals.are_all(true, at(begun, 1_999)).unwrap());
        assert!(arrivals.are_all(true, at(begun, 2_000)).unwrap());
        assert_eq!((arrivals.datagrams, arrivals.octets, arrivals.took()), (10, 1000, TIME));
        arrivals.came(100, at(begun, 2_100));
        assert!(!arrivals.are_all(false, at(begun, 2_100)).unwrap(), "more may be under way");
        assert_eq!(arrivals.took(), Duration::from_millis(2_100));
    }

    #[test]
    fn a_source_that_does_not_stop_has_failed() {
        let begun = Instant::now();
        let mut arrivals = Arrivals::new(TIME, begun);
        let mut when = (1..1000).map(|n| at(begun, n * 100));
        let failed = when.find_map(|now| {
            arrivals.came(1, now);
            arrivals.are_all(false, now).err().map(|e| (now, e.to_string()))
        });
        let (now, why) = failed.unwrap();
        assert_eq!(now, at(begun, 7_100));
        assert_eq!(why, "asked to send for 2 s, it does not stop");
    }

    /// However long it was asked to send.
    #[test]
    fn a_source_that_says_no_more_has_failed_after_the_silence() {
        let begun = Instant::now();
        for first in [0, 30] {
            let mut arrivals = Arrivals::new(Duration::from_secs(60), begun);
            if first > 0 {
                arrivals.came(1, at(begun, first));
            }
            assert!(!arrivals.are_all(true, at(begun, first + 5_000)).unwrap());
            let failed = arrivals.are_all(true, at(begun, first + 5_001)).unwrap_err();
            assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        }
    }
}

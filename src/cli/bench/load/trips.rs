//! Round trips, one after the other.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::figures::{Reading, Times};
use super::super::lanes::Lane;
use super::super::plan::Plan;
use super::super::serve::ECHO;
use super::{Failure, broken, connect};

pub(super) fn measure(octets: usize, lane: &mut Lane, plan: &Plan) -> Result<Vec<Reading>, Failure> {
    let mut stream = connect(lane.at(ECHO[0]))?;
    trips(&mut stream, octets, |t| t < plan.warm_up() / 2).map_err(|e| broken("rr", lane, &e))?;
    let before = lane.cpu()?;
    let begun = Instant::now();
    let mut times = trips(&mut stream, octets, |t| t < plan.seconds).map_err(|e| broken("rr", lane, &e))?;
    let took = begun.elapsed().as_secs_f64();
    let cpu = lane.cpu()?.since(before).total().as_secs_f64();
    Ok(vec![
        Reading::new("p50", times.percentile(50.0)),
        Reading::new("p99", times.percentile(99.0)),
        Reading::new("longest", times.percentile(100.0)),
        Reading::new("trips", times.count() as f64 / took),
        Reading::new("cpu_each", cpu / times.count().max(1) as f64),
    ])
}

/// One after the other as long as it `goes_on`, which is asked with the time since the beginning.
pub(super) fn trips(
    stream: &mut TcpStream,
    octets: usize,
    goes_on: impl Fn(Duration) -> bool,
) -> io::Result<Times> {
    let mut data = vec![b'x'; octets];
    let mut times = Times::default();
    let begun = Instant::now();
    let mut at = begun;
    while goes_on(at - begun) {
        stream.write_all(&data)?;
        stream.read_exact(&mut data)?;
        let now = Instant::now();
        times.push(now - at);
        at = now;
    }
    Ok(times)
}

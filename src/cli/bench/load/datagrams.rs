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

fn receive(socket: &UdpSocket, octets: u16, lane: &mut Lane, plan: &Plan) -> Result<Vec<Reading>, Failure> {
    let failed = |e: &io::Error| broken("udp-down", lane, e);
    let mut buffer = vec![0; 65_535];
    let before = lane.cpu()?;
    socket.send(&request(octets, plan.seconds)).map_err(|e| failed(&e))?;
    socket.set_read_timeout(Some(SILENCE)).map_err(|e| failed(&e))?;
    socket.recv(&mut buffer).map_err(|e| failed(&e))?;
    socket.set_read_timeout(Some(QUIET)).map_err(|e| failed(&e))?;
    let begun = Instant::now();
    let (mut last, mut datagrams, mut came) = (begun, 0u64, 0usize);
    loop {
        match socket.recv(&mut buffer) {
            Ok(n) => {
                datagrams += 1;
                came += n;
                last = Instant::now();
            }
            Err(e) if !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(failed(&e));
            }
            Err(_) if datagrams > 0 && begun.elapsed() >= plan.seconds => break,
            // It is not over: the source waits for the processor, or has failed.
            Err(e) if last.elapsed() > plan.seconds + SILENCE => return Err(failed(&e)),
            Err(_) => {}
        }
    }
    let cpu = lane.cpu()?.since(before).total().as_secs_f64();
    let took = (last - begun).as_secs_f64().max(1e-3);
    Ok(vec![
        Reading::new("datagrams", datagrams as f64 / took),
        Reading::new("datagram_throughput", came as f64 / took),
        Reading::new("cpu_each", cpu / datagrams.max(1) as f64),
    ])
}

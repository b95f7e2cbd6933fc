//! Requests over connections that stay.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::super::figures::{Reading, Times};
use super::super::lanes::Lane;
use super::super::plan::Plan;
use super::super::serve::HTTP;
use super::{Failure, broken, connect};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: tunstack\r\nAccept: */*\r\n\r\n";
const LONGEST: usize = 64 << 10;

pub(super) fn measure(connections: usize, lane: &mut Lane, plan: &Plan) -> Result<Vec<Reading>, Failure> {
    let streams: Vec<_> = (0..connections).map(|_| connect(lane.at(HTTP))).collect::<Result<_, _>>()?;
    let barrier = Barrier::new(connections + 1);
    let (warm_up, time) = (plan.warm_up() / 2, plan.seconds);
    let (results, took, cpu) = thread::scope(|scope| {
        let threads: Vec<_> =
            streams.into_iter().map(|s| scope.spawn(|| work(s, warm_up, time, &barrier))).collect();
        barrier.wait();
        let before = lane.cpu();
        let begun = Instant::now();
        let results: Vec<_> = threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked"))))
            .collect();
        let took = begun.elapsed().as_secs_f64();
        let cpu = before.and_then(|before| Ok(lane.cpu()?.since(before)));
        (results, took, cpu)
    });
    let mut times = Times::default();
    for result in results {
        times.append(result.map_err(|e| broken("http", lane, &e))?);
    }
    let cpu = cpu?.total().as_secs_f64();
    Ok(vec![
        Reading::new("requests", times.count() as f64 / took),
        Reading::new("request_p50", times.percentile(50.0)),
        Reading::new("request_p99", times.percentile(99.0)),
        Reading::new("cpu_each", cpu / times.count().max(1) as f64),
    ])
}

fn work(mut stream: TcpStream, warm_up: Duration, time: Duration, barrier: &Barrier) -> io::Result<Times> {
    let warm = first(&mut stream).and_then(|len| {
        let mut page = vec![0; len];
        requests(&mut stream, &mut page, warm_up).map(|_| page)
    });
    // Whatever has happened, the others wait here.
    barrier.wait();
    requests(&mut stream, &mut warm?, time)
}

/// The length of an answer, head and page.
fn first(stream: &mut TcpStream) -> io::Result<usize> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => answer.extend_from_slice(&piece[..n]),
        }
        match length(&answer) {
            Some(len) if answer.len() == len => return Ok(len),
            Some(len) if answer.len() < len && len <= LONGEST => {}
            None if answer.len() < LONGEST => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no answer as HTTP has them")),
        }
    }
}

/// The length of an answer whose head is there.
fn length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = str::from_utf8(&answer[..head]).ok()?;
    let mut lines = text.split("\r\n");
    lines.next().filter(|status| status.starts_with("HTTP/1.1 200"))?;
    let page = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some(page.saturating_add(head + 4))
}

fn requests(stream: &mut TcpStream, page: &mut [u8], time: Duration) -> io::Result<Times> {
    let mut times = Times::default();
    let begun = Instant::now();
    let mut at = begun;
    while at - begun < time {
        stream.write_all(REQUEST)?;
        stream.read_exact(page)?;
        let now = Instant::now();
        times.push(now - at);
        at = now;
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_a_length() {
        let answer = b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 10\r\n\r\nab";
        assert_eq!(length(answer), Some(answer.len() + 8));
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nA: b\r\n"), None);
        assert_eq!(length(b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx"), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), None);
    }
}

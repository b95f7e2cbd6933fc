//! Discard, source, echo and pages, in the words of `std::net`.

use std::io;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use super::sockets::Sockets;
use super::{Counted, PIECE};

/// Octets of a page.
const PAGE: usize = 1000;
/// The longest head of a request that is read.
const HEAD: usize = 8 << 10;
const LONGEST_DATAGRAM: usize = 65_535;
/// A source of datagrams looks at the clock after so many.
const BURST: u32 = 16;

pub(super) fn discard<S: Sockets>(
    stream: &S::Stream,
    buffer: &mut [u8],
    counted: &Counted,
) -> io::Result<()> {
    loop {
        match S::read(stream, buffer)? {
            0 => return Ok(()),
            n => _ = counted.octets.fetch_add(n as u64, Relaxed),
        }
    }
}

pub(super) fn source<S: Sockets>(stream: &S::Stream, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        S::write_all(stream, buffer)?;
    }
}

pub(super) fn echo<S: Sockets>(stream: &S::Stream, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match S::read(stream, buffer)? {
            0 => return Ok(()),
            n => S::write_all(stream, &buffer[..n])?,
        }
    }
}

/// Answers each request, whatever it asks for, with the same page.
pub(super) fn http<S: Sockets>(stream: &S::Stream, buffer: &mut [u8]) -> io::Result<()> {
    static ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {PAGE}\r\n\r\n");
        [head.as_bytes(), &[b'x'; PAGE]].concat()
    });
    const END: &[u8] = b"\r\n\r\n";
    let answer = &*ANSWER;
    let mut filled = 0;
    loop {
        match S::read(stream, &mut buffer[filled..HEAD])? {
            0 => return Ok(()),
            n => filled += n,
        }
        let mut done = 0;
        while let Some(end) = buffer[done..filled].windows(END.len()).position(|four| four == END) {
            done += end + END.len();
            S::write_all(stream, answer)?;
        }
        buffer.copy_within(done..filled, 0);
        filled -= done;
        if filled == HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a request without an end"));
        }
    }
}

pub(super) fn discard_datagrams<S: Sockets>(udp: &S::Udp, counted: &Counted) {
    let mut buffer = vec![0; LONGEST_DATAGRAM];
    loop {
        match S::receive(udp, &mut buffer) {
            Ok((n, _)) => {
                counted.datagrams.fetch_add(1, Relaxed);
                counted.datagram_octets.fetch_add(n as u64, Relaxed);
            }
            Err(e) => pause(&e),
        }
    }
}

/// Sends to whoever asks, as long and as much as asked for.
pub(super) fn source_datagrams<S: Sockets>(udp: &S::Udp) {
    let mut buffer = [0; 64];
    let data = vec![b'x'; PIECE];
    loop {
        match S::receive(udp, &mut buffer) {
            Ok((n, from)) => {
                if let Some((octets, time)) = wanted(&buffer[..n]) {
                    burst::<S>(udp, &data[..octets], from, time);
                }
            }
            Err(e) => pause(&e),
        }
    }
}

/// A length, 16 bits, and milliseconds, 32 bits.
fn wanted(request: &[u8]) -> Option<(usize, Duration)> {
    let (length, rest) = request.split_first_chunk()?;
    let (millis, _) = rest.split_first_chunk()?;
    Some((u16::from_be_bytes(*length).into(), Duration::from_millis(u32::from_be_bytes(*millis).into())))
}

fn burst<S: Sockets>(udp: &S::Udp, data: &[u8], to: SocketAddr, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        for _ in 0..BURST {
            // Full queues and answers that nobody listens are part of it.
            if S::send(udp, data, to).is_err() {
                break;
            }
        }
    }
}

/// An error of a datagram socket is that of a datagram; those that stay must not take the processor.
fn pause(error: &io::Error) {
    tracing::debug!("cannot receive: {error}");
    thread::sleep(Duration::from_millis(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_datagram_asks_for() {
        assert_eq!(wanted(&[0x05, 0xc0, 0, 0, 1, 0]), Some((1472, Duration::from_millis(256))));
        assert_eq!(wanted(&[0x05, 0xc0, 0, 0, 1]), None);
        assert_eq!(wanted(&[]), None);
    }
}

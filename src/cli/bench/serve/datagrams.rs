//! Datagrams: one thread takes all, and another sends as many as it is asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use super::Counted;
use super::sockets::Sockets;

const LONGEST: usize = 65_535;
/// A source of datagrams looks at the clock after so many.
const BURST: u32 = 16;

pub(super) fn discard<S: Sockets>(udp: &S::Udp, counted: &Counted) {
    let mut buffer = vec![0; LONGEST];
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
pub(super) fn source<S: Sockets>(udp: &S::Udp) {
    let mut buffer = [0; 64];
    let data = vec![b'x'; LONGEST];
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

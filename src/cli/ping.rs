//! `tunstack ping`: ICMP echo requests, with the output of iputils' ping.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tunstack::net::{EchoReply, Ping};

use super::common::{Common, seconds};
use super::output::{Failure, Output, why};
use super::run::{Session, run};

const EXAMPLES: &str = "\
Examples:
  tunstack ping -c 3 10.7.0.1
  tunstack ping -i 0.2 -s 1400 fd07::1

Exit code 0 when at least one reply came, else 1.";

/// Octets of an ICMP header, and of an IP header of either family.
const ICMP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;

/// Arguments of `ping`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PingArgs {
    /// Whom to ask: a name or an address
    host: String,
    /// Stop after so many requests
    #[arg(short, long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Seconds between two requests
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Seconds to wait for the last reply
    #[arg(short = 'W', long = "timeout", value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Octets of data in a request
    #[arg(short, long, default_value_t = 56, value_parser = clap::value_parser!(u16).range(..=65_507))]
    size: u16,
}

/// Runs `ping`.
pub(crate) fn main(common: &Common, args: PingArgs) -> Result<(), Failure> {
    run(common, "ping", Output::stdout(common.json), async move |session: Arc<Session>| {
        let resolved = session.unless_stopped(session.resolve(&args.host, 0)).await?;
        Pinging::new(&session, &args, resolved[0].ip())?.run().await
    })
}

/// A ping under way.
struct Pinging<'a> {
    session: &'a Session,
    args: &'a PingArgs,
    to: IpAddr,
    socket: Ping,
    data: Vec<u8>,
    begun: Instant,
    sent: u64,
    errors: u64,
    duplicates: u64,
    /// When each request left and whether it was answered, by the number that it carries.
    outstanding: HashMap<u16, (u64, Instant, bool)>,
    /// Round trip times, milliseconds.
    times: Vec<f64>,
}

impl<'a> Pinging<'a> {
    fn new(session: &'a Session, args: &'a PingArgs, to: IpAddr) -> Result<Self, Failure> {
        let socket = Ping::new_for(&session.engine, to).map_err(|e| session.failed("cannot ping", &e))?;
        Ok(Self {
            session,
            args,
            to,
            socket,
            data: (0..args.size).map(|n| n as u8).collect(),
            begun: Instant::now(),
            sent: 0,
            errors: 0,
            duplicates: 0,
            outstanding: HashMap::new(),
            times: Vec::new(),
        })
    }

    async fn run(mut self) -> Result<(), Failure> {
        let (size, out) = (usize::from(self.args.size), self.session.out);
        out.text(|| match self.to {
            IpAddr::V4(_) => format!(
                "PING {} ({}) {size}({}) bytes of data.",
                self.args.host,
                self.to,
                size + ICMP_HEADER + IPV4_HEADER
            ),
            IpAddr::V6(_) => format!("PING {} ({}) {size} data bytes", self.args.host, self.to),
        });
        let mut buffer = vec![0; size];
        let mut next = self.begun;
        let mut heard = true;
        while heard {
            let all_sent = self.args.count == Some(self.sent);
            if all_sent && self.times.len() as u64 + self.errors >= self.sent {
                break;
            }
            tokio::select! {
                // Replies first: a short interval must not starve them.
                biased;
                () = self.session.stopped() => break,
                reply = poll_fn(|cx| self.socket.poll_recv(cx, &mut buffer)) => heard = match reply {
                    Ok(reply) => self.reply(&reply, &buffer),
                    Err(e) => self.error(&e)?,
                },
                () = sleep_until(next) => {
                    if all_sent {
                        break;
                    }
                    heard = self.request().await?;
                    let last = self.args.count == Some(self.sent);
                    next = Instant::now() + if last { self.args.timeout } else { self.args.interval };
                }
            }
        }
        self.statistics();
        if self.times.is_empty() { Err(Failure::Told) } else { Ok(()) }
    }

    async fn request(&mut self) -> Result<bool, Failure> {
        self.sent += 1;
        let number = self.sent as u16;
        self.outstanding.insert(number, (self.sent, Instant::now(), false));
        let (to, data, socket) = (self.to, &self.data, &self.socket);
        match poll_fn(|cx| socket.poll_send(cx, to, number, data)).await {
            Ok(()) => Ok(true),
            Err(e) => self.error(&e),
        }
    }

    /// False when nobody reads our lines any more.
    fn reply(&mut self, reply: &EchoReply, buffer: &[u8]) -> bool {
        let Some((sequence, left, answered)) = self.outstanding.get_mut(&reply.sequence) else {
            tracing::debug!("a reply to a request that was never sent: {}", reply.sequence);
            return true;
        };
        let (sequence, time) = (*sequence, left.elapsed().as_secs_f64() * 1e3);
        let duplicate = std::mem::replace(answered, true);
        if duplicate {
            self.duplicates += 1;
        } else {
            self.times.push(time);
        }
        let data = &buffer[..reply.len];
        let wrong = if data == &self.data[..] { "" } else { " (wrong data!)" };
        let again = if duplicate { " (DUP!)" } else { "" };
        let octets = reply.len + ICMP_HEADER;
        self.session.out.say(
            || {
                format!(
                    "{octets} bytes from {}: icmp_seq={sequence} time={} ms{again}{wrong}",
                    reply.from,
                    in_ms(time)
                )
            },
            || {
                json!({
                    "event": "reply",
                    "from": reply.from.to_string(),
                    "sequence": sequence,
                    "octets": octets,
                    "milliseconds": time,
                    "duplicate": duplicate,
                    "intact": wrong.is_empty(),
                })
            },
        )
    }

    /// An ICMP error came, or there is no way there. The end of the engine is the end of this.
    fn error(&mut self, e: &io::Error) -> Result<bool, Failure> {
        if self.session.engine.check().is_err() {
            return Err(self.session.failed("cannot ping", e));
        }
        self.errors += 1;
        let (sequence, why) = (self.sent, why(e));
        Ok(self.session.out.say(
            || format!("icmp_seq={sequence} {why}"),
            || json!({ "event": "error", "sequence": sequence, "error": why }),
        ))
    }

    fn statistics(&self) {
        let (sent, received) = (self.sent, self.times.len() as u64);
        let lost = if sent == 0 { 0.0 } else { (sent - received) as f64 * 100.0 / sent as f64 };
        let rtt = Summary::of(&self.times);
        let extra = |n: u64, what: &str| if n > 0 { format!(", +{n} {what}") } else { String::new() };
        let text = || {
            let mut text = format!(
                "\n--- {} ping statistics ---\n{sent} packets transmitted, {received} received{}{}, {}% packet \
                 loss, time {}ms",
                self.args.host,
                extra(self.duplicates, "duplicates"),
                extra(self.errors, "errors"),
                (lost * 1e4).round() / 1e4,
                self.begun.elapsed().as_millis()
            );
            if let Some(Summary { min, avg, max, mdev }) = rtt {
                text += &format!("\nrtt min/avg/max/mdev = {min:.3}/{avg:.3}/{max:.3}/{mdev:.3} ms");
            }
            text
        };
        self.session.out.say(text, || {
            json!({
                "event": "statistics",
                "sent": sent,
                "received": received,
                "duplicates": self.duplicates,
                "errors": self.errors,
                "loss_percent": lost,
                "rtt_ms": rtt.map(|s| json!({ "min": s.min, "avg": s.avg, "max": s.max, "mdev": s.mdev })),
            })
        });
    }
}

/// With as many digits as iputils shows.
fn in_ms(time: f64) -> String {
    match time {
        t if t >= 100.0 => format!("{t:.0}"),
        t if t >= 10.0 => format!("{t:.1}"),
        t if t >= 1.0 => format!("{t:.2}"),
        t => format!("{t:.3}"),
    }
}

#[derive(Clone, Copy, Debug)]
struct Summary {
    min: f64,
    avg: f64,
    max: f64,
    /// Standard deviation.
    mdev: f64,
}

impl Summary {
    fn of(times: &[f64]) -> Option<Self> {
        let n = times.len() as f64;
        let avg = times.iter().sum::<f64>() / n;
        let variance = times.iter().map(|t| (t - avg).powi(2)).sum::<f64>() / n;
        Some(Self {
            min: times.iter().copied().reduce(f64::min)?,
            avg,
            max: times.iter().copied().reduce(f64::max)?,
            mdev: variance.sqrt(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        assert!(Summary::of(&[]).is_none());
        let s = Summary::of(&[1.0, 3.0, 5.0, 7.0]).unwrap();
        assert_eq!((s.min, s.avg, s.max), (1.0, 4.0, 7.0));
        assert!((s.mdev - 5f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn digits() {
        assert_eq!([0.12345, 1.2345, 12.345, 123.45].map(in_ms), ["0.123", "1.23", "12.3", "123"]);
    }
}

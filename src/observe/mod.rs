//! How connections fare, over time: what congestion control does, and a time-sequence graph of their segments.
//!
//! A [`Watch`] looks at the packets of a simulated world whose stacks trace
//! ([`Config::trace`](crate::core::config::Config::trace)),
//! and keeps of each connection what tables and plots need.

pub mod timeseq;

#[cfg(feature = "cli")]
pub mod plot;

use std::collections::BTreeMap;

use tunstack_core::addr::Quad;
use tunstack_core::packet::{Received, Sent};
use tunstack_core::tcp::trace::{Reason, TcpEvent, Variables, What};
use tunstack_core::time::{Duration, Instant};
use tunstack_core::wire::{ip, tcp};

use crate::sim::record::{Note, PeerId, Record};
use timeseq::TimeSequence;
use tunstack_core::packet::Trust;

/// The variables of a connection at a time, as its sender had them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// Congestion window, octets.
    pub cwnd: u32,
    /// Slow start threshold, octets; `None` before the first loss.
    pub ssthresh: Option<u32>,
    /// Smoothed round trip, once there is one.
    pub srtt: Option<Duration>,
    /// Octets acknowledged since the connection began.
    pub acked: u64,
    /// Which loss recovery is under way.
    pub recovery: Option<&'static str>,
}

/// What was seen of one connection, from its sender.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The connection.
    pub quad: Quad,
    /// Its variables over time, thinned out.
    pub samples: Vec<Sample>,
    /// How often data was sent again, by the reason.
    pub resent: BTreeMap<&'static str, u64>,
    /// How long each packet with data waited in the link's queue, microseconds.
    pub waits: Vec<u32>,
    /// Its segments and acknowledgments, if they are kept.
    pub sequence: Option<TimeSequence>,
    /// The highest octet sent.
    sent: u64,
    acked: u64,
}

/// Looks at what one peer sends and gets, and keeps it by connection.
#[derive(Debug)]
pub struct Watch {
    peer: PeerId,
    every: Duration,
    sequences: usize,
    flows: Vec<Watched>,
    by_quad: BTreeMap<(u16, [u8; 16]), usize>,
}

impl Watch {
    /// Looks at the connections that send at `peer`, with a sample each `every` at the most, and keeps the time-sequence
    /// graph of the first `sequences` of them.
    pub const fn new(peer: PeerId, every: Duration, sequences: usize) -> Self {
        Self { peer, every, sequences, flows: Vec::new(), by_quad: BTreeMap::new() }
    }

    /// The connections, in the order they began.
    pub fn flows(&self) -> &[Watched] {
        &self.flows
    }

    /// The connections, in the order they began.
    pub fn into_flows(self) -> Vec<Watched> {
        self.flows
    }

    /// Takes note of a packet: for [`World::observe`](crate::sim::world::World::observe).
    pub fn see(&mut self, record: &Record) {
        if record.peer != self.peer {
            return;
        }
        let event = match record.note {
            Note::Sent(Some(Sent::Tcp(event)), _) => event,
            Note::Arrived(Some(Received::Tcp(Some(event)))) => event,
            _ => return,
        };
        let Some(variables) = event.variables else { return };
        let Ok(packet) = ip::parse(&record.packet) else { return };
        // What is sent is whole, and what has been taken was checked.
        let Ok(segment) = tcp::parse(&packet.header, packet.payload, Trust::Trusted) else { return };
        let (every, at) = (self.every, record.at);
        let flow = self.flow(&event);
        let text = segment.payload.len() as u32;
        match (event.what, record.note) {
            (What::Sent(reason), Note::Sent(_, fate)) if text > 0 => {
                let from = flow.unwrap(flow.sent, segment.header.seq.since(variables.iss));
                let lost = fate.is_none_or(|fate| fate.loss.is_some());
                flow.waits.extend(fate.map(|f| u32::try_from(f.waited.as_micros()).unwrap_or(u32::MAX)));
                // A segment with something new at its end may repeat what stands before that.
                let again = from < flow.sent && !matches!(reason, Reason::Data);
                if again {
                    *flow.resent.entry(reason.text()).or_default() += 1;
                }
                flow.sent = flow.sent.max(from + u64::from(text));
                if let Some(sequence) = &mut flow.sequence {
                    sequence.sent(at, from, text, reason, again, lost);
                }
            }
            (What::Received(_), _) => {
                let edge = flow.unwrap(flow.acked, variables.una.since(variables.iss));
                flow.acked = flow.acked.max(edge);
                let blocks = segment.options.sack.iter().map(|block| {
                    let start = flow.unwrap(flow.acked, block.start.since(variables.iss));
                    (start, start + u64::from(block.end.since(block.start)))
                });
                let blocks: Vec<_> = blocks.collect();
                if let Some(sequence) = &mut flow.sequence {
                    sequence.acked(at, flow.acked, u64::from(variables.snd_wnd), &blocks);
                }
            }
            _ => {}
        }
        flow.sample(at, &variables, every);
    }

    fn flow(&mut self, event: &TcpEvent) -> &mut Watched {
        let local = event.quad.local;
        let next = self.flows.len();
        let index = *self.by_quad.entry((local.port, *local.address.octets())).or_insert(next);
        if index == next {
            self.flows.push(Watched {
                quad: event.quad,
                samples: Vec::new(),
                resent: BTreeMap::new(),
                waits: Vec::new(),
                sequence: (next < self.sequences).then(TimeSequence::default),
                sent: 0,
                acked: 0,
            });
        }
        &mut self.flows[index]
    }
}

impl Watched {
    /// The 64-bit offset nearest to `near` whose lower half is `low`.
    const fn unwrap(&self, near: u64, low: u32) -> u64 {
        let off = low.cast_signed().wrapping_sub((near as u32).cast_signed());
        near.saturating_add_signed(off as i64)
    }

    fn sample(&mut self, at: Instant, variables: &Variables, every: Duration) {
        let sample = Sample {
            at,
            cwnd: variables.cwnd,
            ssthresh: (variables.ssthresh != u32::MAX).then_some(variables.ssthresh),
            srtt: variables.srtt,
            acked: self.acked,
            recovery: variables.recovery,
        };
        // The window falls at once and rises by and by: a fall must not be thinned out.
        let keep = self.samples.last().is_none_or(|last| {
            at.saturating_since(last.at) >= every
                || last.recovery != sample.recovery
                || last.ssthresh != sample.ssthresh
                || sample.cwnd < last.cwnd / 4 * 3
        });
        if keep {
            self.samples.push(sample);
        }
    }

    /// Octets acknowledged a second, in bins of this width from time 0 on: the middle of the bin and the rate.
    pub fn throughput(&self, bin: Duration, until: Instant) -> Vec<(f64, f64)> {
        let width = bin.as_secs_f64();
        if width <= 0.0 {
            return Vec::new();
        }
        let bins = (until.saturating_since(Instant::ZERO).as_secs_f64() / width).floor() as usize;
        let mut samples = self.samples.iter().peekable();
        let mut before = (0.0, 0.0);
        let place = |s: &Sample| (s.at.saturating_since(Instant::ZERO).as_secs_f64(), s.acked as f64);
        let edge = |n: usize| {
            let at = n as f64 * width;
            while let Some(sample) = samples.next_if(|sample| place(sample).0 <= at) {
                before = place(sample);
            }
            // Samples are thinned out: what was acknowledged between two of them came evenly.
            let Some(after) = samples.peek().map(|sample| place(sample)) else { return before.1 };
            before.1 + (after.1 - before.1) * (at - before.0) / (after.0 - before.0)
        };
        let edges: Vec<f64> = (0..=bins).map(edge).collect();
        let rate = |(n, pair): (usize, &[f64])| ((n as f64 + 0.5) * width, (pair[1] - pair[0]) / width);
        edges.windows(2).enumerate().map(rate).collect()
    }

    /// The mean time in the queue, and the one that 95 % of the packets with data did not exceed.
    pub fn queue_delay(&self) -> Option<(Duration, Duration)> {
        queue_delay(self.waits.iter().copied())
    }
}

/// The mean of waiting times in microseconds, and the one that 95 % of them do not exceed.
pub fn queue_delay(waits: impl IntoIterator<Item = u32>) -> Option<(Duration, Duration)> {
    let mut waits: Vec<_> = waits.into_iter().collect();
    let most = waits.len().checked_sub(1)?;
    let mean = waits.iter().map(|w| u64::from(*w)).sum::<u64>() / waits.len() as u64;
    let (_, p95, _) = waits.select_nth_unstable(most * 95 / 100);
    Some((Duration::from_micros(mean), Duration::from_micros(u64::from(*p95))))
}

#[cfg(test)]
mod tests;

//! A bottleneck, and flows over it: [`Congestion`], [`DeliveryRate`] and [`Pacer`] as a connection would use them, with no
//! more of recovery than that three later packets that arrive make a loss.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::super::super::{AckSample, Algorithm, Congestion, CongestionEvent};
use super::super::{Bbr, Phase};
use crate::config::TcpConfig;
use crate::congestion::delivery_rate::{AckEnd, DeliveryRate, Stamp};
use crate::seq::{Seq, SeqRange};
use crate::tcp::pacer::Pacer;
use crate::time::{Duration, Instant};

pub(super) const MSS: u32 = 1448;

/// A megabit a second, in octets.
pub(super) const MBIT: u64 = 125_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The receiver's word of a packet is here.
    Ack(usize, u32),
    /// A flow may send again.
    Wake(usize),
    /// The link has another rate.
    Rate(u64),
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    stamp: Stamp,
    /// Acknowledged, or deemed lost.
    done: bool,
}

pub(super) struct Flow {
    pub(super) cc: Congestion,
    pub(super) rate: DeliveryRate,
    pacer: Pacer,
    gate: Instant,
    wake: Instant,
    packets: VecDeque<Packet>,
    /// The number of the first of them.
    first: u32,
    in_flight: u32,
    recovery_end: Option<u32>,
    highest: u32,
    srtt: Option<Duration>,
    min_rtt: Option<Duration>,
    /// Round trip of the way there and back without a queue.
    pub(super) rtt: Duration,
    /// Since when it has sent nothing more (its program is idle), until when.
    pub(super) idle: Option<(Instant, Instant)>,
    pub(super) start: Instant,
    limited: bool,
    peak_judged: u32,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) phases: Vec<(Instant, Phase)>,
}

impl Flow {
    pub(super) fn bbr(&self) -> &Bbr {
        match &self.cc {
            Congestion::Bbr(bbr) => bbr,
            other => panic!("{}", other.name()),
        }
    }

    /// When it came into a phase.
    pub(super) fn entered(&self, phase: Phase) -> Vec<Instant> {
        self.phases.iter().filter(|(_, p)| *p == phase).map(|(t, _)| *t).collect()
    }
}

pub(super) struct Sim {
    pub(super) now: Instant,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    serial: u64,
    rate: u64,
    /// Octets that may wait.
    queue: u64,
    busy: Instant,
    /// Per mille of packets lost at random.
    pub(super) loss: u64,
    dice: u64,
    pub(super) flows: Vec<Flow>,
    /// Octet-nanoseconds of queue, to tell its mean.
    area: u128,
    /// The longest queue, octets.
    pub(super) longest: u64,
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

impl Sim {
    /// A link of `rate` octets a second with room for `queue` octets.
    pub(super) fn new(rate: u64, queue: u64) -> Self {
        Self {
            now: Instant::ZERO,
            events: BinaryHeap::new(),
            serial: 0,
            rate,
            queue,
            busy: Instant::ZERO,
            loss: 0,
            dice: 1,
            flows: Vec::new(),
            area: 0,
            longest: 0,
        }
    }

    pub(super) fn flow(&mut self, rtt: Duration, start: Instant) -> &mut Flow {
        let cc = Congestion::new(Algorithm::Bbr, MSS, 10, &TcpConfig::default());
        self.flows.push(Flow {
            cc,
            rate: DeliveryRate::new(),
            pacer: Pacer::new(),
            gate: Instant::ZERO,
            wake: Instant::FAR_FUTURE,
            packets: VecDeque::new(),
            first: 0,
            in_flight: 0,
            recovery_end: None,
            highest: 0,
            srtt: None,
            min_rtt: None,
            rtt,
            idle: None,
            start,
            limited: false,
            peak_judged: 0,
            received: 0,
            sent: 0,
            lost: 0,
            phases: Vec::new(),
        });
        let flow = self.flows.len() - 1;
        self.at(start, Event::Wake(flow));
        &mut self.flows[flow]
    }

    pub(super) fn change_rate(&mut self, at: Instant, rate: u64) {
        self.at(at, Event::Rate(rate));
    }

    fn at(&mut self, time: Instant, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((time, self.serial, event)));
    }

    /// Octets that wait for the link now.
    fn backlog(&self) -> u64 {
        let wait = u128::from(nanos(self.busy.saturating_since(self.now)));
        (wait * u128::from(self.rate) / 1_000_000_000) as u64
    }

    pub(super) fn run(&mut self, until: Instant) {
        while let Some(&Reverse((time, _, event))) = self.events.peek() {
            if time > until {
                break;
            }
            self.events.pop();
            let backlog = self.backlog();
            self.area += u128::from(backlog) * u128::from(nanos(time.saturating_since(self.now)));
            self.now = time;
            match event {
                Event::Ack(flow, id) => self.ack(flow, id),
                Event::Wake(flow) => {
                    self.flows[flow].wake = Instant::FAR_FUTURE;
                    self.send(flow);
                }
                Event::Rate(rate) => {
                    let backlog = self.backlog();
                    self.rate = rate;
                    self.busy = self.now + Duration::from_nanos(backlog * 1_000_000_000 / rate);
                }
            }
        }
        self.now = until;
    }

    /// Runs on, and says what each flow was given meanwhile in per cent of the link, and the mean queue in octets.
    pub(super) fn measure(&mut self, time: Duration) -> (Vec<u64>, u64) {
        let before: Vec<u64> = self.flows.iter().map(|f| f.received).collect();
        self.area = 0;
        self.longest = 0;
        self.run(self.now + time);
        let capacity = self.rate * nanos(time) / 1_000_000_000;
        let shares = self.flows.iter().zip(before).map(|(f, b)| (f.received - b) * 100 / capacity).collect();
        (shares, (self.area / u128::from(nanos(time))) as u64)
    }

    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % 1000
    }

    fn send(&mut self, index: usize) {
        let now = self.now;
        loop {
            let flow = &mut self.flows[index];
            if now < flow.start {
                return;
            }
            if let Some((from, to)) = flow.idle
                && now >= from
                && now < to
            {
                if flow.in_flight < flow.cc.cwnd() {
                    flow.rate.mark_app_limited(flow.in_flight);
                }
                if flow.wake > to {
                    flow.wake = to;
                    self.at(to, Event::Wake(index));
                }
                return;
            }
            if flow.in_flight + MSS > flow.cc.cwnd() {
                flow.limited = true;
                flow.peak_judged = flow.first + flow.packets.len() as u32;
                return;
            }
            if now < flow.gate {
                let gate = flow.gate;
                if flow.wake > gate {
                    flow.wake = gate;
                    self.at(gate, Event::Wake(index));
                }
                return;
            }
            if flow.in_flight == 0 && flow.rate.is_app_limited() {
                flow.cc.on_idle_restart(now);
            }
            let alone = flow.in_flight == 0;
            flow.in_flight += MSS;
            let stamp = flow.rate.stamp(now, flow.in_flight, alone);
            let id = flow.first + flow.packets.len() as u32;
            flow.packets.push_back(Packet { stamp, done: false });
            flow.sent += 1;
            let (rate, quantum) = (flow.cc.pacing_rate().unwrap(), flow.cc.send_quantum().unwrap());
            if flow.sent > 10
                && let Some(gate) = flow.pacer.departed(MSS, rate, quantum, now)
            {
                flow.gate = gate;
            }
            let rtt = flow.rtt;
            let backlog = self.backlog();
            let wire = u64::from(MSS) + 52;
            let lost = self.loss > 0 && self.roll() < self.loss;
            if lost || backlog + wire > self.queue + 2 * wire {
                continue;
            }
            self.longest = self.longest.max(backlog);
            self.busy = self.busy.max(now) + Duration::from_nanos(u64::from(MSS) * 1_000_000_000 / self.rate);
            let back = self.busy + rtt;
            self.at(back, Event::Ack(index, id));
        }
    }

    fn ack(&mut self, index: usize, id: u32) {
        let now = self.now;
        let flow = &mut self.flows[index];
        let in_flight_before = flow.in_flight;
        let Some(packet) = id.checked_sub(flow.first).and_then(|at| flow.packets.get_mut(at as usize)) else {
            return;
        };
        if packet.done {
            return;
        }
        packet.done = true;
        let stamp = packet.stamp;
        flow.received += u64::from(MSS);
        flow.in_flight -= MSS;
        flow.highest = flow.highest.max(id);
        let rtt = now.saturating_since(stamp.sent());
        flow.min_rtt = Some(flow.min_rtt.map_or(rtt, |least| least.min(rtt)));
        flow.srtt = Some(flow.srtt.map_or(rtt, |srtt| (srtt * 7 + rtt) / 8));
        flow.rate.delivered(&stamp, MSS, now);

        let next = flow.first + flow.packets.len() as u32;
        let mut losses = 0;
        for at in 0..flow.packets.len() {
            let id = flow.first + at as u32;
            if id + 3 > flow.highest {
                break;
            }
            if !flow.packets[at].done {
                flow.packets[at].done = true;
                flow.in_flight -= MSS;
                flow.lost += 1;
                losses += 1;
                let lost = flow.rate.lost(&flow.packets[at].stamp, MSS);
                let start = Seq::new(id.wrapping_mul(MSS));
                flow.cc.on_lost(&lost, SeqRange::new(start, start.add(MSS)));
            }
        }
        while flow.packets.front().is_some_and(|p| p.done) {
            flow.packets.pop_front();
            flow.first += 1;
        }
        if flow.recovery_end.is_some_and(|end| flow.first >= end) {
            flow.recovery_end = None;
        }
        if losses > 0 && flow.recovery_end.is_none() {
            flow.recovery_end = Some(next);
            flow.cc.on_event(CongestionEvent::Loss, in_flight_before, now);
        }
        let end =
            AckEnd { in_flight: flow.in_flight, rtt: Some(rtt), min_rtt: flow.min_rtt, selective: true };
        let rate = flow.rate.on_ack_end(now, end);
        // Once a round trip it is judged anew whether the window is used.
        if id >= flow.peak_judged {
            flow.limited = false;
        }
        flow.cc.on_ack(&AckSample {
            now,
            acked: MSS,
            rtt: Some(rtt),
            in_flight: in_flight_before,
            cwnd_limited: flow.limited,
            after_timeout: false,
            reducing: flow.recovery_end.is_some(),
            lost: losses * MSS,
            marked: 0,
            una: Seq::new((index as u32 + 1).wrapping_mul(0x1234_5677)),
            nxt: Seq::new(0),
            srtt: flow.srtt,
            rate,
        });
        if flow.cc.ignores_rates() {
            flow.rate.mark_app_limited(flow.in_flight);
        }
        let phase = flow.bbr().phase();
        if flow.phases.last().is_none_or(|(_, last)| *last != phase) {
            flow.phases.push((now, phase));
        }
        self.send(index);
    }
}

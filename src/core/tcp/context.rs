//! What every step of TCP may look at and write to beside its own record.

use alloc::collections::VecDeque;

use super::buffer::spares::Spares;
use super::fast_open::Host;
use super::isn::Keys;
use super::recovery::board::Lists;
use super::seq::Seq;
use super::state::State;
use crate::addr::Quad;
use crate::config::TcpConfig;
use crate::counters::Counters;
use crate::memory::Memory;
use crate::tcp::trace::{Reason, RstReason, Variables};
use crate::time::Instant;
use crate::wire::flags::Flags;
use crate::wire::options::Options;

/// The stack around a connection, lent to it for one call.
#[derive(Debug)]
pub struct Context<'a> {
    /// The time.
    pub now: Instant,
    /// The settings of TCP.
    pub config: &'a TcpConfig,
    /// The largest packet the device takes, octets with the IP header.
    pub mtu: u16,
    /// The longest packet that the device cuts into segments, octets with its headers; 0: it cuts none.
    pub segmentation: u32,
    /// What would be acknowledged at once for want of a reply may wait for one.
    pub holds_acks: bool,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// What is held of memory.
    pub memory: &'a mut Memory,
    /// The secrets behind sequence numbers and timestamps.
    pub keys: &'a Keys,
    /// What is kept for Fast Open.
    pub fast_open: &'a mut Host,
    /// Segments that no connection of its own will send.
    pub control: &'a mut ControlQueue,
    /// Memory for octets.
    pub spares: &'a mut Spares,
    /// Memory for what is in flight.
    pub lists: &'a mut Lists,
}

/// A segment without text that leaves on behalf of something lighter than a connection: a reset, a SYN,ACK,
/// an ACK from TIME-WAIT.
#[derive(Clone, Debug)]
pub struct ControlSegment {
    /// The connection it belongs to.
    pub quad: Quad,
    /// Its sequence number.
    pub seq: Seq,
    /// Its acknowledgment number, with [`Flags::ACK`].
    pub ack: Seq,
    /// Its control bits.
    pub flags: Flags,
    /// Its window field.
    pub window: u16,
    /// Its options.
    pub options: Options,
    /// Why it leaves.
    pub reason: Reason,
    /// The state of what sends it.
    pub state: State,
    /// The variables of what sends it.
    pub variables: Option<Variables>,
    /// TTL or hop limit; 0: the stack's default.
    pub hop_limit: u8,
    /// DSCP in the upper six bits.
    pub traffic_class: u8,
}

impl ControlSegment {
    /// A segment with nothing in it but its place.
    pub fn new(quad: Quad, state: State, reason: Reason) -> Self {
        Self {
            quad,
            seq: Seq::new(0),
            ack: Seq::new(0),
            flags: Flags::empty(),
            window: 0,
            options: Options::default(),
            reason,
            state,
            variables: None,
            hop_limit: 0,
            traffic_class: 0,
        }
    }

    /// `<SEQ=seq><CTL=RST>`.
    pub fn reset(quad: Quad, state: State, seq: Seq, reason: RstReason) -> Self {
        Self { seq, flags: Flags::RST, ..Self::new(quad, state, Reason::Rst(reason)) }
    }

    /// `<SEQ=seq><ACK=ack><CTL=RST,ACK>`.
    pub fn reset_ack(quad: Quad, state: State, seq: Seq, ack: Seq, reason: RstReason) -> Self {
        Self { ack, flags: Flags::RST | Flags::ACK, ..Self::reset(quad, state, seq, reason) }
    }
}

/// Control segments on their way out. Bounded: what a flood would make us answer beyond that is dropped and
/// counted.
#[derive(Debug, Default)]
pub struct ControlQueue(VecDeque<ControlSegment>);

impl ControlQueue {
    const LIMIT: usize = 8192;

    /// Adds one, or drops and counts it where there are too many.
    pub fn push(&mut self, segment: ControlSegment, counters: &mut Counters) {
        if self.0.len() >= Self::LIMIT {
            counters.tcp_control_drops += 1;
        } else {
            self.0.push_back(segment);
        }
    }

    /// The next to leave.
    pub fn pop(&mut self) -> Option<ControlSegment> {
        self.0.pop_front()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Context<'_> {
    /// Sends a control segment.
    pub fn send(&mut self, segment: ControlSegment) {
        if segment.flags.contains(Flags::RST) {
            self.counters.tcp_out_rsts += 1;
        }
        self.control.push(segment, self.counters);
    }
}

//! A connection as tools show it: a snapshot of its record.

use super::recovery::Phase;
use super::state::State;
use super::tcb::{Is, Tcb};
use super::trace::Variables;
use crate::addr::Quad;
use crate::error::Error;

/// How a connection stands.
#[derive(Clone, Debug)]
pub struct TcpInfo {
    /// The two ends.
    pub quad: Quad,
    /// Its state.
    pub state: State,
    /// The variables of RFC 9293 and of congestion control.
    pub variables: Variables,
    /// The congestion control algorithm.
    pub congestion: &'static str,
    /// Whether and how it repairs a loss.
    pub recovery: Phase,
    /// Consecutive retransmission timeouts without progress.
    pub timeouts: u8,
    /// Largest text of a segment we send, octets.
    pub snd_mss: u32,
    /// Largest text of a segment the peer has sent, octets.
    pub rcv_mss: u32,
    /// Timestamps are in use (RFC 7323).
    pub timestamps: bool,
    /// Selective acknowledgments are in use (RFC 2018).
    pub sack: bool,
    /// Our and the peer's window scale, if both sides scale (RFC 7323).
    pub window_scales: Option<(u8, u8)>,
    /// Octets written and not acknowledged.
    pub send_queue: usize,
    /// Octets received and not read.
    pub receive_queue: usize,
    /// Octets received out of order.
    pub out_of_order: usize,
    /// Octets allocated for the buffers.
    pub memory: usize,
    /// The pending error.
    pub error: Option<Error>,
}

impl Tcb {
    /// How it stands.
    pub fn info(&self) -> TcpInfo {
        TcpInfo {
            quad: self.quad,
            state: self.state(),
            variables: self.variables(),
            congestion: self.congestion.name(),
            recovery: self.recovery.phase(),
            timeouts: self.recovery.timeouts(),
            snd_mss: self.smss(),
            rcv_mss: u32::from(self.rcv.mss),
            timestamps: self.timestamps.enabled(),
            sack: self.is.contains(Is::SACK),
            window_scales: self
                .is
                .contains(Is::SCALED)
                .then(|| (self.rcv.scale.shift(), self.snd.scale.shift())),
            send_queue: self.send_buffer.len(),
            receive_queue: self.receive_buffer.len(),
            out_of_order: self.reassembly.len(),
            memory: self.send_buffer.memory() + self.receive_buffer.memory() + self.reassembly.memory(),
            error: self.error,
        }
    }
}

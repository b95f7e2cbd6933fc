//! A connection as tools show it: a snapshot of its record.

use super::ecn::EcnInfo;
use super::fast_open::Failure;
use super::limits::Limits;
use super::mishaps::Mishaps;
use super::recovery::Phase;
use super::state::State;
use super::tally::Tally;
use super::tcb::{Is, Tcb};
use super::trace::Variables;
use crate::addr::Quad;
use crate::config::TcpConfig;
use crate::error::Error;
use crate::time::{Duration, Instant};
use crate::user_timeout::UserTimeout;

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
    /// How often the retransmission timeout has been doubled.
    pub backoffs: u8,
    /// Window probes and keep-alive probes sent in a row without an answer.
    pub probes: u8,
    /// RTTVAR, once there is a sample.
    pub rttvar: Option<Duration>,
    /// The shortest round trip, once there is a sample.
    pub min_rtt: Option<Duration>,
    /// Largest text of a segment we send, octets.
    pub snd_mss: u32,
    /// Largest text of a segment the peer has sent, octets.
    pub rcv_mss: u32,
    /// The largest window that is offered for now, octets; it grows with what arrives, up to what the receive buffer holds.
    pub receive_threshold: u32,
    /// The most octets that the program has read in a round trip, by which the receive buffer is sized; 0 before text has
    /// arrived.
    pub receive_space: u32,
    /// The round trip as the receiver sees it: by what the peer echoes, or by a window of what it sends. `None` before there
    /// is a sample.
    pub receive_rtt: Option<Duration>,
    /// The MSS on our SYN, octets.
    pub mss_offered: u32,
    /// Data is acknowledged at once, as it is while a connection is young (`TCP_QUICKACK`).
    pub quick_acks: bool,
    /// When data was last sent.
    pub last_sent: Instant,
    /// When the peer was last heard.
    pub last_heard: Instant,
    /// Explicit congestion notification.
    pub ecn: EcnInfo,
    /// Timestamps are in use (RFC 7323).
    pub timestamps: bool,
    /// Selective acknowledgments are in use (RFC 2018).
    pub sack: bool,
    /// Our and the peer's window scale, if both sides scale (RFC 7323).
    pub window_scales: Option<(u8, u8)>,
    /// Octets written and not acknowledged.
    pub send_queue: usize,
    /// Of these, octets never sent, and one for a FIN that was not.
    pub unsent: usize,
    /// Octets received and not read.
    pub receive_queue: usize,
    /// Octets received out of order.
    pub out_of_order: usize,
    /// Octets allocated for the buffers.
    pub memory: usize,
    /// What stands in the way of what is sent, as ICMP or R1 retransmissions without an answer say (RFC 9293
    /// §3.8.3, §3.9.1.8); forgotten when new data is acknowledged. If the connection times out, it ends of this.
    pub soft_error: Option<Error>,
    /// The pending error.
    pub error: Option<Error>,
    /// How long data may stay unacknowledged: as long as was set or agreed on, or R2.
    pub user_timeout: Duration,
    /// What the peer last advertised of its own, where [`UserTimeoutOption`](crate::user_timeout::UserTimeoutOption) is
    /// enabled.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
    //# In this case TCP SHOULD, however, notify the application about the user timeout value received from
    //# the other end system.
    pub peer_user_timeout: Option<Duration>,
    /// What it has counted.
    pub tally: Tally,
    /// What has gone wrong.
    pub mishaps: Mishaps,
    /// The program had it before its handshake was done (RFC 7413).
    pub open_early: bool,
    /// What has limited it, with how long.
    pub limits: Limits,
    /// Segments that the peer has out of order, that are deemed lost, and that are in flight for another time
    /// (RFC 6675, RFC 8985).
    pub sacked_lost_resent: [u32; 3],
    /// Over how many segments the path was seen to reorder, 3 before it was; and how often it was seen.
    pub reordering: (u16, u32),
    /// Sequence numbers sent and not acknowledged, in segments of `snd_mss`, rounded up.
    pub unacked_segments: u32,
    /// The text of a SYN was taken: all of ours by the peer, or the peer's by us (RFC 7413).
    pub syn_text_taken: bool,
    /// Why text of ours did not arrive with the SYN.
    pub fast_open_failure: Failure,
    /// The largest packet that we send the peer, octets with its IP header: what the path carries and the peer takes.
    pub path_mtu: u32,
    /// How fast it may send, octets a second, whether or not it is paced; `None` before there is a round trip to go by.
    pub pacing_rate: Option<u64>,
    /// The limit that the program set on that (`SO_MAX_PACING_RATE`), octets a second.
    pub max_pacing_rate: Option<u64>,
    /// How fast the network delivered last, octets a second, and whether the program, not the network, limited that; 0
    /// before there is a sample.
    pub delivery_rate: (u64, bool),
}

impl Tcb {
    /// How it stands.
    pub fn info(&self, config: &TcpConfig) -> TcpInfo {
        let (syn_text_taken, fast_open_failure) = self.fast_open_info();
        TcpInfo {
            quad: self.quad,
            state: self.state(),
            variables: self.variables(),
            congestion: self.congestion.name(),
            recovery: self.recovery.phase(),
            timeouts: self.recovery.timeouts(),
            backoffs: self.rtt.backoffs(),
            probes: self.window_probes.max(self.keepalives),
            rttvar: self.rtt.rttvar(),
            min_rtt: self.rtt.min_rtt(),
            snd_mss: self.smss(),
            rcv_mss: u32::from(self.rcv.mss),
            receive_threshold: self.window_threshold(),
            receive_space: self.right_sizing.as_ref().map_or(0, |sizing| sizing.space()),
            receive_rtt: self.right_sizing.as_ref().and_then(|sizing| sizing.rtt()),
            mss_offered: u32::from(self.mss_offered),
            quick_acks: self.acks.is_quick(),
            last_sent: self.sent,
            last_heard: self.heard,
            ecn: self.ecn.info(),
            timestamps: self.timestamps.enabled(),
            sack: self.is.contains(Is::SACK),
            window_scales: self
                .is
                .contains(Is::SCALED)
                .then(|| (self.rcv.scale.shift(), self.snd.scale.shift())),
            send_queue: self.send_buffer.len(),
            unsent: self.unsent(),
            receive_queue: self.receive_buffer.len(),
            out_of_order: self.reassembly.len(),
            memory: self.send_buffer.memory() + self.receive_buffer.memory() + self.reassembly.memory(),
            soft_error: self.soft_error,
            error: self.error,
            user_timeout: self.give_up_after(config),
            peer_user_timeout: self.peer_user_timeout.map(UserTimeout::time),
            tally: self.tally,
            mishaps: self.mishaps.as_deref().copied().unwrap_or_default(),
            open_early: self.is.contains(Is::OPEN_EARLY),
            limits: self.limits.as_deref().copied().unwrap_or_default(),
            sacked_lost_resent: self.recovery.segments(),
            reordering: (self.recovery.reordering(), self.recovery.reorderings()),
            unacked_segments: self.snd.outstanding().div_ceil(self.smss()),
            syn_text_taken,
            fast_open_failure,
            path_mtu: u32::from(self.snd.mss) + if self.quad.remote.address.is_v4() { 40 } else { 60 },
            pacing_rate: self.pacing_rate(config),
            max_pacing_rate: self.options.pacing_limit(),
            delivery_rate: self.rate.shown(),
        }
    }
}

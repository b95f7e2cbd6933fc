//! `TCP_INFO`: a connection as `struct tcp_info` of Linux's `linux/tcp.h` (of 6.x) shows it.
//!
//! What each field means, in which unit, is in `docs/tcp-info.md`. Not measured, and 0: `tcpi_fackets` and
//! `tcpi_last_ack_sent`, which are 0 on Linux too; and `tcpi_rehash`, since no route depends on a hash. Rates without a
//! limit are all ones.

use std::time::Duration;

use tunstack_core::config::EcnFeedback;
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::tcp::ecn::EcnInfo;
use tunstack_core::tcp::fast_open::Failure;
use tunstack_core::tcp::info::TcpInfo;
use tunstack_core::tcp::recovery::Phase;
use tunstack_core::tcp::state::State;
use tunstack_core::time::Instant;

/// The length of the structure: with the counters of AccECN behind the 248 octets of older versions, as in Linux 6.18.
pub(super) const LEN: usize = 280;

/// Linux's numbers of the states. Who holds a socket sees TIME-WAIT as closed, since there a record of its own waits.
const fn state(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::Closed | State::TimeWait => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn long_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The fields in their order: each stands where its size puts it.
struct Fields(Vec<u8>);

impl Fields {
    fn octets(&mut self, values: &[u8]) {
        self.0.extend_from_slice(values);
    }

    fn words(&mut self, values: &[u32]) {
        self.0.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }

    fn longs(&mut self, values: &[u64]) {
        self.0.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }
}

/// The structure, of any TCP socket.
pub(super) fn octets(stack: &mut Stack, id: SocketId, now: Instant) -> Vec<u8> {
    let pmtu = stack.path_mtu(id, now).map_or(0, u32::from);
    let mut fields = Fields(Vec::with_capacity(LEN));
    match stack.tcp_info(id) {
        Some(info) => connection(&mut fields, &info, pmtu, micros(stack.config().tcp.delayed_ack), now),
        None => unconnected(&mut fields, stack, id),
    }
    // Of a socket without a connection there is no more.
    fields.0.resize(LEN, 0);
    fields.0
}

/// The slow start threshold and the congestion window, in segments.
fn segments(info: &TcpInfo) -> [u32; 2] {
    let mss = info.snd_mss.max(1);
    let variables = &info.variables;
    let threshold = if variables.ssthresh == u32::MAX { ENDLESS } else { variables.ssthresh / mss };
    [threshold, (variables.cwnd / mss).max(1)]
}

/// `TCP_INFINITE_SSTHRESH`.
const ENDLESS: u32 = 0x7fff_ffff;

/// `TCPI_OPT_TIMESTAMPS`, `TCPI_OPT_SACK`, `TCPI_OPT_WSCALE`, `TCPI_OPT_ECN`, `TCPI_OPT_ECN_SEEN`, `TCPI_OPT_SYN_DATA`,
/// `TCPI_OPT_TFO_CHILD`.
const OPTIONS: [u8; 7] = [1, 2, 4, 8, 16, 32, 128];

/// `enum tcp_fastopen_client_fail`.
const fn fast_open(failure: Failure) -> u8 {
    match failure {
        Failure::None => 0,
        Failure::NoCookie => 1,
        Failure::NotAcknowledged => 2,
        Failure::SynTimedOut => 3,
    }
}

fn connection(fields: &mut Fields, info: &TcpInfo, pmtu: u32, ato: u32, now: Instant) {
    let variables = &info.variables;
    let congestion_state = match info.recovery {
        Phase::Open => 0,
        Phase::Disorder => 1,
        Phase::Cwr => 2,
        Phase::Recovery => 3,
        Phase::Loss => 4,
    };
    let ecn = &info.ecn;
    let in_use = [
        info.timestamps,
        info.sack,
        info.window_scales.is_some(),
        ecn.feedback != EcnFeedback::None,
        ecn.seen,
        info.syn_text_taken,
        info.open_early,
    ];
    let options = OPTIONS.iter().zip(in_use).filter(|(_, used)| *used).map(|(bit, _)| bit).sum();
    let (ours, peers) = info.window_scales.unwrap_or_default();
    let since = |then| u32::try_from(now.saturating_since(then).as_millis()).unwrap_or(u32::MAX);
    let app_limited = if cfg!(target_endian = "little") { 1 } else { 0x80 };
    let bits = if info.delivery_rate.1 { app_limited } else { 0 };
    let [threshold, window] = segments(info);
    let tally = &info.tally;

    fields.octets(&[state(info.state), congestion_state, info.timeouts, info.probes, info.backoffs, options]);
    // What the peer's windows are scaled by, and what ours are.
    let failure = fast_open(info.fast_open_failure);
    fields.octets(&if cfg!(target_endian = "little") {
        [peers | ours << 4, bits | failure << 1]
    } else {
        [peers << 4 | ours, bits | failure << 5]
    });
    fields.words(&[micros(variables.rto), ato, info.snd_mss, info.rcv_mss]);
    let [sacked, lost, resent] = info.sacked_lost_resent;
    fields.words(&[info.unacked_segments, sacked, lost, resent, 0]);
    fields.words(&[since(info.last_sent), 0, tally.since_data_in(now), since(info.last_heard)]);
    let rtt = [variables.srtt, info.rttvar].map(|time| micros(time.unwrap_or_default()));
    fields.words(&[pmtu, info.receive_threshold, rtt[0], rtt[1], threshold, window]);
    fields.words(&[info.mss_offered, info.reordering.0.into()]);
    fields.words(&[micros(info.receive_rtt.unwrap_or_default()), info.receive_space, tally.resent]);
    let [rate, most] = [info.pacing_rate, info.max_pacing_rate].map(|rate| rate.unwrap_or(u64::MAX));
    fields.longs(&[rate, most, tally.octets_acked, tally.octets_received]);
    let min_rtt = info.min_rtt.map_or(u32::MAX, micros);
    fields.words(&[
        tally.segments_out,
        tally.segments_in,
        count(info.unsent),
        min_rtt,
        tally.data_in,
        tally.data_out,
    ]);
    let busy = info.limits.busy(now);
    let [total, window, buffer] = [busy.total, busy.window, busy.buffer].map(long_micros);
    fields.longs(&[info.delivery_rate.0, total, window, buffer]);
    fields.words(&[tally.delivered, ecn.delivered_ce]);
    fields.longs(&[tally.octets_sent, tally.octets_resent]);
    let mishaps = &info.mishaps;
    fields.words(&[mishaps.came_twice, info.reordering.1, mishaps.out_of_order]);
    fields.words(&[variables.snd_wnd, variables.rcv_wnd, 0]);
    fields.octets(&mishaps.timeouts.to_ne_bytes());
    fields.octets(&mishaps.repairs.to_ne_bytes());
    fields.words(&[u32::try_from(mishaps.repair_time(now).as_millis()).unwrap_or(u32::MAX)]);
    let (there, here) = (&ecn.delivered, &ecn.received);
    fields.words(&[here.cep, there.e1b, there.e0b, there.ceb, here.e1b, here.e0b, here.ceb, accurate(ecn)]);
}

/// `tcpi_ecn_mode`, two bits; `tcpi_accecn_opt_seen`, two; `tcpi_accecn_fail_mode`, four.
fn accurate(ecn: &EcnInfo) -> u32 {
    let mode = match ecn.feedback {
        EcnFeedback::None => return 0,
        EcnFeedback::Classic => return 1,
        EcnFeedback::Accurate => 2,
    };
    let seen = if ecn.options_seen { 2 } else { 0 };
    let fails = [!ecn.capable, ecn.deaf, ecn.options_blocked].map(u32::from);
    let [send, receive, options] = fails;
    mode | seen << 2 | (send | receive << 1 | options << 2) << 4
}

/// Duplicate ACKs that are a loss.
const REORDERING: u32 = 3;

/// A socket that listens shows its queue, one that does nothing what it would begin with.
fn unconnected(fields: &mut Fields, stack: &Stack, id: SocketId) {
    let config = &stack.config().tcp;
    let number = state(stack.state(id).unwrap_or(State::Closed));
    fields.octets(&[number, 0, 0, 0, 0, 0, 0, 0]);
    match stack.backlog(id) {
        Some((waiting, most)) => {
            fields.words(&[0; 4]);
            fields.words(&[count(waiting), most]);
        }
        None => {
            fields.words(&[micros(config.initial_rto), 0, 536, 0]);
            fields.words(&[0; 9]);
            fields.words(&[0, 0, 0, 0, ENDLESS, config.initial_window, 0, REORDERING]);
            fields.words(&[0; 3]);
            let limit = stack.options(id).ok().and_then(|options| options.pacing_limit());
            fields.longs(&[limit.unwrap_or(u64::MAX); 2]);
        }
    }
}

#[cfg(test)]
mod tests;

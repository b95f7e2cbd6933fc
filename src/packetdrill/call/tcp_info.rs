//! The fields of `struct tcp_info`.

use std::os::fd::RawFd;

use super::SystemCalls;
use super::value::number;
use crate::bsd::Result;
use crate::bsd::abi::{IPPROTO_TCP, TCP_INFO};

/// Where a field of less than an octet stands: the octet, its lowest bit and how many bits.
const BITS: [(&str, usize, u32, u32); 8] = [
    ("tcpi_snd_wscale", 6, 0, 4),
    ("tcpi_rcv_wscale", 6, 4, 4),
    ("tcpi_delivery_rate_app_limited", 7, 0, 1),
    ("tcpi_fastopen_client_fail", 7, 1, 2),
    ("tcpi_ecn_mode", 276, 0, 2),
    ("tcpi_accecn_opt_seen", 276, 2, 2),
    ("tcpi_accecn_fail_mode", 276, 4, 4),
    ("tcpi_options2", 276, 8, 24),
];

/// The fields of whole octets in their order (linux/tcp.h of 6.18), each with how many; `""` are the octets of [`BITS`].
const WHOLE: [(&str, usize); 66] = [
    ("tcpi_state", 1),
    ("tcpi_ca_state", 1),
    ("tcpi_retransmits", 1),
    ("tcpi_probes", 1),
    ("tcpi_backoff", 1),
    ("tcpi_options", 1),
    ("", 2),
    ("tcpi_rto", 4),
    ("tcpi_ato", 4),
    ("tcpi_snd_mss", 4),
    ("tcpi_rcv_mss", 4),
    ("tcpi_unacked", 4),
    ("tcpi_sacked", 4),
    ("tcpi_lost", 4),
    ("tcpi_retrans", 4),
    ("tcpi_fackets", 4),
    ("tcpi_last_data_sent", 4),
    ("tcpi_last_ack_sent", 4),
    ("tcpi_last_data_recv", 4),
    ("tcpi_last_ack_recv", 4),
    ("tcpi_pmtu", 4),
    ("tcpi_rcv_ssthresh", 4),
    ("tcpi_rtt", 4),
    ("tcpi_rttvar", 4),
    ("tcpi_snd_ssthresh", 4),
    ("tcpi_snd_cwnd", 4),
    ("tcpi_advmss", 4),
    ("tcpi_reordering", 4),
    ("tcpi_rcv_rtt", 4),
    ("tcpi_rcv_space", 4),
    ("tcpi_total_retrans", 4),
    ("tcpi_pacing_rate", 8),
    ("tcpi_max_pacing_rate", 8),
    ("tcpi_bytes_acked", 8),
    ("tcpi_bytes_received", 8),
    ("tcpi_segs_out", 4),
    ("tcpi_segs_in", 4),
    ("tcpi_notsent_bytes", 4),
    ("tcpi_min_rtt", 4),
    ("tcpi_data_segs_in", 4),
    ("tcpi_data_segs_out", 4),
    ("tcpi_delivery_rate", 8),
    ("tcpi_busy_time", 8),
    ("tcpi_rwnd_limited", 8),
    ("tcpi_sndbuf_limited", 8),
    ("tcpi_delivered", 4),
    ("tcpi_delivered_ce", 4),
    ("tcpi_bytes_sent", 8),
    ("tcpi_bytes_retrans", 8),
    ("tcpi_dsack_dups", 4),
    ("tcpi_reord_seen", 4),
    ("tcpi_rcv_ooopack", 4),
    ("tcpi_snd_wnd", 4),
    ("tcpi_rcv_wnd", 4),
    ("tcpi_rehash", 4),
    ("tcpi_total_rto", 2),
    ("tcpi_total_rto_recoveries", 2),
    ("tcpi_total_rto_time", 4),
    ("tcpi_received_ce", 4),
    ("tcpi_delivered_e1_bytes", 4),
    ("tcpi_delivered_e0_bytes", 4),
    ("tcpi_delivered_ce_bytes", 4),
    ("tcpi_received_e1_bytes", 4),
    ("tcpi_received_e0_bytes", 4),
    ("tcpi_received_ce_bytes", 4),
    ("", 4),
];

/// The whole structure.
const LEN: usize = 280;

/// All fields of a structure, which may be shorter; what is not there is 0.
pub(super) fn fields(octets: &[u8]) -> Vec<(&'static str, u64)> {
    let mut whole = [0; LEN];
    let known = octets.len().min(LEN);
    whole[..known].copy_from_slice(&octets[..known]);
    let mut at = 0;
    let mut fields = Vec::with_capacity(WHOLE.len() + BITS.len());
    for (name, size) in WHOLE {
        if !name.is_empty() {
            fields.push((name, number(&whole[at..at + size])));
        }
        at += size;
    }
    for (name, at, low, bits) in BITS {
        let size = if bits > 8 || at + 4 == LEN { 4 } else { 1 };
        let word = number(&whole[at..at + size]);
        // The first field of a word has its lowest bits, or on some machines its highest.
        let low = if cfg!(target_endian = "little") { low } else { size as u32 * 8 - low - bits };
        fields.push((name, word >> low & ((1 << bits) - 1)));
    }
    fields
}

pub(super) fn of(sockets: &dyn SystemCalls, live: RawFd) -> Result<Vec<(&'static str, u64)>> {
    let mut octets = [0; LEN];
    let len = sockets.getsockopt(live, IPPROTO_TCP, TCP_INFO, &mut octets)?;
    Ok(fields(&octets[..len]))
}

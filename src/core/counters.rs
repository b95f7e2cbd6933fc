//! What happened, counted: plain numbers under the names of the MIBs (RFC 4293, 4113, 4022) and of Linux.

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident = $mib:literal,)*) => {
        /// The counters of one stack. Each starts at 0 and only rises, but for `tcp_curr_estab`.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Counters {
            /// Every counter's MIB name and value, in the order of this file.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($mib, self.$field)),*].into_iter()
            }

            /// Adds what another stack of the same host has counted.
            pub fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)*
            }
        }
    };
}

counters! {
    /// IP packets received.
    ip_in_receives = "IpInReceives",
    /// Dropped: header malformed or its checksum wrong.
    ip_in_hdr_errors = "IpInHdrErrors",
    /// Dropped: not for one of our addresses.
    ip_in_addr_errors = "IpInAddrErrors",
    /// Dropped: a source that no host may have (RFC 1122 §3.2.1.3).
    ip_in_martian = "IpExtInMartianSrc",
    /// Dropped: shorter than its length says.
    ip_in_truncated = "IpExtInTruncatedPkts",
    /// Dropped: a protocol that nobody speaks here.
    ip_in_unknown_protos = "IpInUnknownProtos",
    /// Handed up to a protocol.
    ip_in_delivers = "IpInDelivers",
    /// Packets sent.
    ip_out_requests = "IpOutRequests",
    /// Not sent: no route, or a full queue.
    ip_out_discards = "IpOutDiscards",
    /// Fragments received.
    ip_reasm_reqds = "IpReasmReqds",
    /// Packets put together.
    ip_reasm_oks = "IpReasmOKs",
    /// Packets given up: time, memory, overlap or malformed.
    ip_reasm_fails = "IpReasmFails",
    /// … of these by time.
    ip_reasm_timeout = "IpReasmTimeout",
    /// … of these because fragments overlapped (RFC 5722).
    ip_reasm_overlaps = "IpExtReasmOverlaps",
    /// Packets cut in fragments.
    ip_frag_oks = "IpFragOKs",
    /// Packets too large that must not be cut.
    ip_frag_fails = "IpFragFails",
    /// Fragments made.
    ip_frag_creates = "IpFragCreates",

    /// ICMP messages received.
    icmp_in_msgs = "IcmpInMsgs",
    /// … malformed, or with a bad checksum.
    icmp_in_errors = "IcmpInErrors",
    /// Errors received that did not prove to be about anything of ours (RFC 5927 §4).
    icmp_in_unproven = "IcmpExtInUnproven",
    /// Echo requests received.
    icmp_in_echos = "IcmpInEchos",
    /// Echo replies received.
    icmp_in_echo_reps = "IcmpInEchoReps",
    /// ICMP messages sent.
    icmp_out_msgs = "IcmpOutMsgs",
    /// Errors not sent for the sake of the rate limit.
    icmp_out_rate_limited = "IcmpOutRateLimitHost",

    /// Datagrams delivered to a socket.
    udp_in_datagrams = "UdpInDatagrams",
    /// Datagrams for a port without a socket.
    udp_no_ports = "UdpNoPorts",
    /// Datagrams malformed.
    udp_in_errors = "UdpInErrors",
    /// Datagrams with a bad checksum.
    udp_in_csum_errors = "UdpInCsumErrors",
    /// Datagrams dropped: the socket's queue is full.
    udp_rcvbuf_errors = "UdpRcvbufErrors",
    /// Datagrams sent.
    udp_out_datagrams = "UdpOutDatagrams",

    /// CLOSED to SYN-SENT.
    tcp_active_opens = "TcpActiveOpens",
    /// LISTEN to SYN-RECEIVED.
    tcp_passive_opens = "TcpPassiveOpens",
    /// SYN-SENT or SYN-RECEIVED to CLOSED, or SYN-RECEIVED to LISTEN.
    tcp_attempt_fails = "TcpAttemptFails",
    /// ESTABLISHED or CLOSE-WAIT straight to CLOSED.
    tcp_estab_resets = "TcpEstabResets",
    /// Connections in ESTABLISHED or CLOSE-WAIT now.
    tcp_curr_estab = "TcpCurrEstab",
    /// Segments received.
    tcp_in_segs = "TcpInSegs",
    /// Segments sent, those retransmitted not counted.
    tcp_out_segs = "TcpOutSegs",
    /// Segments retransmitted.
    tcp_retrans_segs = "TcpRetransSegs",
    /// Segments malformed or with a bad checksum.
    tcp_in_errs = "TcpInErrs",
    /// … of these with a bad checksum.
    tcp_in_csum_errors = "TcpInCsumErrors",
    /// Segments whose options were malformed (taken up to there), or told of a window scale above 14 (taken as 14).
    tcp_in_bad_options = "TcpExtInBadOptions",
    /// Resets sent.
    tcp_out_rsts = "TcpOutRsts",
    /// Connection requests dropped: the SYN queue is full.
    tcp_req_q_full_drop = "TcpExtTCPReqQFullDrop",
    /// Segments that would have ended a handshake, but the listener waits for data.
    tcp_defer_accept_drop = "TcpExtTCPDeferAcceptDrop",
    /// Connection requests answered with a SYN cookie because the SYN queue is full.
    tcp_req_q_full_do_cookies = "TcpExtTCPReqQFullDoCookies",
    /// SYN cookies sent.
    tcp_syncookies_sent = "TcpExtSyncookiesSent",
    /// SYN cookies that came back, and were good.
    tcp_syncookies_recv = "TcpExtSyncookiesRecv",
    /// ACKs to a listener, after SYN cookies were sent, that brought none back that is good.
    tcp_syncookies_failed = "TcpExtSyncookiesFailed",
    /// Connections held back: the accept queue is full.
    tcp_listen_overflows = "TcpExtListenOverflows",
    /// Connection requests and handshakes dropped by a listener, for any cause.
    tcp_listen_drops = "TcpExtListenDrops",
    /// Connections moved to TIME-WAIT.
    tcp_tw = "TcpExtTW",
    /// TIME-WAIT left early for a new connection (RFC 6191).
    tcp_tw_recycled = "TcpExtTWRecycled",
    /// TIME-WAIT not entered: too many already.
    tcp_tw_overflow = "TcpExtTCPTimeWaitOverflow",
    /// Segments dropped by PAWS.
    tcp_paws_drops = "TcpExtPAWSEstab",
    /// Answers to our SYN refused: they echo a timestamp that it did not have.
    tcp_paws_active = "TcpExtPAWSActive",
    /// Segments dropped because their timestamp was missing (RFC 7323 §3.2).
    tcp_missing_timestamp = "TcpExtMissingTimestamp",
    /// Segments dropped as not acceptable.
    tcp_not_acceptable = "TcpExtNotAcceptable",
    /// Segments whose ACK was outside the range (RFC 5961 §5).
    tcp_bad_acks = "TcpExtBadAcks",
    /// Segments without an ACK where one must be.
    tcp_no_acks = "TcpExtNoAck",
    /// Segments without meaning in their state.
    tcp_ignored = "TcpExtIgnored",
    /// Challenge ACKs sent (RFC 5961).
    tcp_challenge_acks = "TcpExtTCPChallengeACK",
    /// Challenge ACKs and the like withheld by the limit (RFC 5961 §7).
    tcp_challenge_limited = "TcpExtTCPACKSkippedChallenge",
    /// Acceptable SYNs in a synchronised state.
    tcp_syn_challenge = "TcpExtTCPSYNChallenge",
    /// Acknowledgments that waited for their timer.
    tcp_delayed_acks = "TcpExtDelayedACKs",
    /// Segments put aside: out of order.
    tcp_ofo_queue = "TcpExtTCPOFOQueue",
    /// Segments dropped: no room for out-of-order data.
    tcp_ofo_drop = "TcpExtTCPOFODrop",
    /// Times that the stack came to hold half of its budget of memory.
    tcp_memory_pressures = "TcpExtTCPMemoryPressures",
    /// Times that a connection had to throw something away for want of memory.
    tcp_prune_called = "TcpExtPruneCalled",
    /// … of these all that it kept out of order.
    tcp_ofo_pruned = "TcpExtOfoPruned",
    /// … of these text that came in order.
    tcp_rcv_pruned = "TcpExtRcvPruned",
    /// Segments dropped: beyond what the receive window takes.
    tcp_rcv_q_drop = "TcpExtTCPRcvQDrop",
    /// D-SACKs sent.
    tcp_dsack_sent = "TcpExtTCPDSACKOldSent",
    /// D-SACKs received.
    tcp_dsack_recv = "TcpExtTCPDSACKRecv",
    /// SACK blocks that cannot be.
    tcp_sack_discard = "TcpExtTCPSACKDiscard",
    /// Fast recoveries begun with SACK.
    tcp_sack_recovery = "TcpExtTCPSackRecovery",
    /// Probes of what a path carries sent (RFC 4821).
    tcp_mtu_probes = "TcpExtMTUPProbe",
    /// … that arrived.
    tcp_mtu_probe_success = "TcpExtTCPMTUPSuccess",
    /// … that were lost alone.
    tcp_mtu_probe_failures = "TcpExtTCPMTUPFail",
    /// Segments made smaller because nothing arrived any more.
    tcp_black_holes = "TcpExtMTUPBlackHole",
    /// What had been sent once came behind what was sent later.
    tcp_sack_reorder = "TcpExtTCPSACKReorder",
    /// Peers that threw away what they had reported to have.
    tcp_sack_reneging = "TcpExtTCPSACKReneging",
    /// Retransmissions that were lost.
    tcp_lost_retransmit = "TcpExtTCPLostRetransmit",
    /// Tail loss probes sent.
    tcp_loss_probes = "TcpExtTCPLossProbes",
    /// Reductions of the window taken back.
    tcp_undo = "TcpExtTCPFullUndo",
    /// Time-outs found spurious.
    tcp_spurious_rtos = "TcpExtTCPSpuriousRTOs",
    /// Fast retransmits begun without SACK.
    tcp_fast_retrans = "TcpExtTCPFastRetrans",
    /// Connections opened with text in the SYN that the server took (RFC 7413).
    tcp_fast_open_active = "TcpExtTCPFastOpenActive",
    /// … that it did not take, or not all of it.
    tcp_fast_open_active_fail = "TcpExtTCPFastOpenActiveFail",
    /// Connections opened for the program before their handshake was done.
    tcp_fast_open_passive = "TcpExtTCPFastOpenPassive",
    /// SYNs with a cookie that is not good.
    tcp_fast_open_passive_fail = "TcpExtTCPFastOpenPassiveFail",
    /// SYNs with a cookie that is about to expire: it was taken, and a new one given.
    tcp_fast_open_passive_alt_key = "TcpExtTCPFastOpenPassiveAltKey",
    /// SYNs of Fast Open taken as ordinary ones: too many are pending.
    tcp_fast_open_listen_overflow = "TcpExtTCPFastOpenListenOverflow",
    /// SYNs that ask for a cookie.
    tcp_fast_open_cookie_reqd = "TcpExtTCPFastOpenCookieReqd",
    /// Pauses of Fast Open, because a path seems to swallow it.
    tcp_fast_open_black_hole = "TcpExtTCPFastOpenBlackhole",
    /// Retransmission timeouts.
    tcp_timeouts = "TcpExtTCPTimeouts",
    /// Segments sent by limited transmit.
    tcp_limited_transmit = "TcpExtLimitedTransmit",
    /// Zero-window probes sent.
    tcp_window_probes = "TcpExtTCPWinProbe",
    /// Keep-alive probes sent.
    tcp_keepalives = "TcpExtTCPKeepAlive",
    /// Connections reset because data arrived after close.
    tcp_abort_on_data = "TcpExtTCPAbortOnData",
    /// Connections reset because they were closed with data unread.
    tcp_abort_on_close = "TcpExtTCPAbortOnClose",
    /// Connections that ended by time-out.
    tcp_abort_on_timeout = "TcpExtTCPAbortOnTimeout",
    /// Connections that ended because there were too many without an owner.
    tcp_abort_on_memory = "TcpExtTCPAbortOnMemory",
    /// Segments not answered or sent: the stack's control queue was full.
    tcp_control_drops = "TcpExtControlDrops",
}

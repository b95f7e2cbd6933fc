//! Every tunable: its default, and the RFC or the Linux sysctl it answers to.

extern crate alloc;

use alloc::vec::Vec;

use crate::addr::Prefix;
use crate::congestion::{Algorithm, Settings};
use crate::fast_open::{Modes, Secrets};
use crate::time::Duration;
use crate::user_timeout::UserTimeoutOption;

/// What a stack is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our own addresses, each with the prefix that is reached over the device directly.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.1.6
    //= id=rfc1122-3.3.1.6-1, rfc1122-3.3.1.6-2
    // There are no gateways to choose between, so (3) has nothing to say here.
    pub addresses: Vec<Prefix>,
    /// The largest IP packet the device takes, octets. IPv6 works from 1280 on (RFC 8200 §5), IPv4 from 68.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.3
    //= id=rfc1122-3.3.3-4
    //# The MTU of each physical interface MUST be configurable.
    pub mtu: u16,
    /// What the device does for us.
    pub offload: Offload,
    /// TTL and hop limit of what we send (sysctl `ip_default_ttl`); 0 counts as 1.
    pub hop_limit: u8,
    /// Ephemeral ports, both included (sysctl `ip_local_port_range`).
    pub ephemeral_ports: (u16, u16),
    /// Octets that buffers of TCP, the records of connection requests and of TIME-WAIT, and packets that wait to leave may
    /// hold, all together: at least 1 MiB; `None`: each is limited for itself alone (sysctl `tcp_mem`). Of these the stack
    /// never holds more. What is done as it runs short, and what is not counted: [`memory`]. Packets under reassembly may
    /// hold a sixteenth of it beside, or 128 KiB where that is more.
    ///
    /// [`memory`]: crate::memory
    pub memory: Option<usize>,
    /// Octets that packets under reassembly may hold, all together (sysctl `ipfrag_high_thresh`).
    pub reassembly_memory: usize,
    /// How long fragments wait for the rest: 60 s (RFC 8200 §4.5, RFC 1122 §3.3.2).
    pub reassembly_timeout: Duration,
    /// ICMP errors sent a second, as a token bucket's rate and size (RFC 4443 §2.4 f).
    //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
    //= id=rfc4443-2.4-7
    //# The rate-limiting parameters SHOULD be configurable.
    //= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
    //= id=rfc4443-3.1-5
    //# For security reasons, it is recommended that implementations SHOULD allow sending of ICMP
    //# destination unreachable messages to be disabled, preferably on a per-interface basis.
    pub icmp_errors_per_second: u32,
    /// How long a lowered path MTU is believed (sysctl `route.mtu_expires`, RFC 1191 §6.3).
    //= https://www.rfc-editor.org/rfc/rfc8201#section-5.3
    //= id=rfc8201-5.3-3
    //# Note: an implementation should provide a means for changing the timeout duration, including setting
    //# it to "infinity".
    //= https://www.rfc-editor.org/rfc/rfc8201#section-5.6
    //= id=rfc8201-5.6-1
    //# The implementation should also provide a way to change the timeout period for aging stale PMTU
    //# information.
    pub path_mtu_lifetime: Duration,
    /// Forbid routers to cut our packets, so that path MTUs are learned, on sockets that do not say otherwise (RFC 1191
    /// §3, RFC 8201; the inverse of sysctl `ip_no_pmtu_disc`).
    pub path_mtu_discovery: bool,
    /// How many path MTUs are remembered.
    pub path_mtu_entries: usize,
    /// Text that is to leave lies where it can be [lent](crate::body::Body::lend): for a device that keeps references to it in
    /// place of copies.
    pub lends: bool,
    /// Octets a UDP socket's receive queue may hold, headers of the queue included (sysctl `rmem_default`).
    pub udp_receive_buffer: usize,
    /// Octets a UDP socket's send queue may hold (sysctl `wmem_default`).
    pub udp_send_buffer: usize,
    /// Whether events carry a [`TcpEvent`](crate::tcp::trace::TcpEvent). Captures and logs want it; it costs
    /// a copy of about 100 octets a segment.
    pub trace: bool,
    /// The settings of TCP.
    pub tcp: TcpConfig,
}

/// Work that a device takes off us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offload {
    /// It finishes the checksums of TCP and UDP: they leave [partial](crate::packet::Checksum::Partial).
    pub checksum: bool,
    /// It cuts runs of TCP segments and of UDP datagrams apart: the longest packet it takes for that, octets with its
    /// headers; 0: it cannot.
    pub segmentation: u32,
}

impl Offload {
    /// Nothing: each packet leaves as it goes over the wire.
    pub const NONE: Self = Self { checksum: false, segmentation: 0 };
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            mtu: 1500,
            offload: Offload::NONE,
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.7
            //= id=rfc1122-3.2.1.7-4
            //# When a fixed TTL value is used, it MUST be configurable.
            //= https://www.rfc-editor.org/rfc/rfc792
            //= id=rfc792-front-3
            //# Time to live in seconds; as this field is decremented at each machine in which the datagram
            //# is processed, the value in this field should be at least as great as the number of gateways
            //# which this datagram will traverse.
            hop_limit: 64,
            ephemeral_ports: (32_768, 60_999),
            memory: None,
            reassembly_memory: 4 << 20,
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.2
            //= id=rfc1122-3.3.2-4, rfc1122-3.3.2-5
            reassembly_timeout: Duration::from_secs(60),
            icmp_errors_per_second: 100,
            //= https://www.rfc-editor.org/rfc/rfc8201#section-4
            //= id=rfc8201-4-10
            //# The recommended setting for this timer is twice its minimum value (10 minutes).
            path_mtu_lifetime: Duration::from_secs(600),
            path_mtu_discovery: true,
            path_mtu_entries: 1024,
            lends: false,
            udp_receive_buffer: 212_992,
            udp_send_buffer: 212_992,
            trace: false,
            tcp: TcpConfig::default(),
        }
    }
}

/// What two ends tell each other of congestion marks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EcnFeedback {
    /// Nothing: no packet is ECN-capable, and congestion is told by loss alone.
    None,
    /// That there were some, once a round trip (RFC 3168).
    Classic,
    /// How many there were (RFC 9768).
    Accurate,
}

/// How much the AccECN option is used (RFC 9768 §3.2.3.3; sysctl `tcp_ecn_option`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AccEcnOptions {
    /// It is never sent.
    Never,
    /// Where a counter begins to move, where that of CE moves, and now and then.
    Sparing,
    /// On each ACK, where a counter has moved since the last; not where the path seems to drop it.
    Changes,
    /// The same, whatever the path does.
    Always,
}

/// When a connection finds out by probing what its path carries (RFC 4821).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MtuProbing {
    /// Never: what routers tell is all that is known.
    Off,
    /// When nothing arrives any more, as in a black hole: segments get smaller, and larger again as probes pass.
    AfterBlackHole,
    /// From the beginning, with packets of at most 1400 octets, which nearly every path carries, until probes show that more
    /// pass (RFC 4821 §7.2).
    Always,
}

/// The settings of TCP.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Offer window scaling (RFC 7323; sysctl `tcp_window_scaling`).
    pub window_scaling: bool,
    /// Offer timestamps (RFC 7323; sysctl `tcp_timestamps`).
    pub timestamps: bool,
    /// Take segments without a timestamp on connections that agreed on them, as Linux does. By default they are dropped
    /// (RFC 7323 §3.2).
    pub tolerate_missing_timestamps: bool,
    /// Offer selective acknowledgment (RFC 2018; sysctl `tcp_sack`).
    pub sack: bool,
    /// The most that a connection request of a peer may ask for of ECN (sysctl `tcp_ecn`). As in Linux that is RFC 3168 by
    /// default: who asks for more gets as much (RFC 9768 §3.1.2).
    pub ecn_incoming: EcnFeedback,
    /// What our own connection requests ask for (sysctl `tcp_ecn`): nothing by default, as in Linux, since there are paths
    /// that drop such a SYN (RFC 3168 §6.1.1.1).
    pub ecn_outgoing: EcnFeedback,
    /// What is sent again in a handshake asks for no ECN, from the first time on with RFC 3168 and from the second with
    /// RFC 9768 §3.1.4 (sysctl `tcp_ecn_fallback`).
    pub ecn_fallback: bool,
    /// How much the option of RFC 9768 is sent (sysctl `tcp_ecn_option`).
    pub ecn_options: AccEcnOptions,
    /// With [`AccEcnOptions::Sparing`]: how often in a round trip a counter that goes on moving is told (sysctl
    /// `tcp_ecn_option_beacon`); 0: not for this reason.
    pub ecn_option_beacon: u8,
    /// An experiment: connections that agree on RFC 9768 answer marks by their part of a window and send ECT(1), for queues of
    /// L4S (RFC 9330). Off by default.
    #[cfg(feature = "l4s")]
    pub l4s: bool,
    /// The least send buffer of a new socket, octets, should [`send_buffer`](Self::send_buffer) be less (sysctl `tcp_wmem`,
    /// the first).
    pub send_buffer_min: u32,
    /// Send buffer of a new socket, octets (sysctl `tcp_wmem`, the second).
    pub send_buffer: u32,
    /// What a send buffer may grow to with the congestion window, octets (sysctl `tcp_wmem`, the third). No more than
    /// [`send_buffer`](Self::send_buffer): none grows.
    pub send_buffer_max: u32,
    /// The least receive buffer of a new socket, octets, should [`receive_buffer`](Self::receive_buffer) be less (half of
    /// sysctl `tcp_rmem`, the first).
    pub receive_buffer_min: u32,
    /// Receive buffer of a new socket, octets: the largest window it offers (half of sysctl `tcp_rmem`, the second; Linux
    /// counts what surrounds the octets too).
    pub receive_buffer: u32,
    /// What a receive buffer may grow to with what is read, octets (half of sysctl `tcp_rmem`, the third): 16 MiB by default,
    /// as with Linux 6.18. The window scale is chosen on the SYN for it, or for a buffer that is larger already, because it
    /// cannot change later (RFC 7323 §2.3). No more than [`receive_buffer`](Self::receive_buffer): none grows.
    pub receive_buffer_max: u32,
    /// Receive buffers grow (sysctl `tcp_moderate_rcvbuf`), where the program has not set their size.
    pub moderate_receive_buffer: bool,
    /// Octets written and never sent at which a connection is no longer writable, on sockets that do not say otherwise;
    /// 0: no limit but the buffer's (sysctl `tcp_notsent_lowat`).
    pub unsent_low_water: u32,
    /// Maximum segment lifetime. TIME-WAIT lasts twice as long: 60 s by default as in Linux, where
    /// RFC 9293 §3.4.2 suggests 2 minutes for the MSL itself.
    pub msl: Duration,
    /// First retransmission timeout (RFC 6298 §2.1).
    pub initial_rto: Duration,
    /// Smallest retransmission timeout: 200 ms as in Linux (`TCP_RTO_MIN`), where RFC 6298 §2.4 has 1 s.
    pub min_rto: Duration,
    /// Largest retransmission timeout (RFC 6298 §2.5).
    pub max_rto: Duration,
    /// R2: how long data may stay unacknowledged before the connection is given up (RFC 9293 §3.8.3, at
    /// least 100 s). The default is what 15 retransmissions take (sysctl `tcp_retries2`).
    pub r2: Duration,
    /// Of sockets that do not say otherwise: whether and how ends tell each other how long they wait for an ACK (RFC 5482).
    /// Off by default.
    pub user_timeout_option: UserTimeoutOption,
    /// L_LIMIT: a peer cannot make us give up sooner. RFC 5482 §3.1: at least 100 s, which is the default; it is always
    /// more than the retransmission timeout.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3
    //# Hosts MUST impose upper and lower limits on the user timeouts they use for a connection.
    pub user_timeout_min: Duration,
    /// U_LIMIT: a peer cannot make us wait longer. One hour by default.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
    //# Note that these limits MAY be specified as system-wide constants or at other granularities, such as
    //# on per-host, per-user, per-outgoing-interface, or even per-connection basis.
    pub user_timeout_max: Duration,
    /// How often a SYN is retransmitted. 7 makes the wait at least the 3 minutes of RFC 9293 §3.8.3
    /// (sysctl `tcp_syn_retries` has 6, which falls short of it).
    pub syn_retries: u8,
    /// How often a SYN,ACK is retransmitted (sysctl `tcp_synack_retries`).
    pub syn_ack_retries: u8,
    /// Connection requests that one listener holds at the most (sysctl `tcp_max_syn_backlog`).
    pub max_syn_backlog: u32,
    /// When a connection request is answered with a SYN cookie (sysctl `tcp_syncookies`).
    pub syn_cookies: SynCookies,
    /// The largest backlog a listener may ask for (sysctl `somaxconn`).
    pub max_backlog: u32,
    /// A handshake completed while the accept queue is full is reset. Otherwise its ACK is dropped, to be provoked again
    /// by our SYN,ACK (sysctl `tcp_abort_on_overflow`).
    pub abort_on_overflow: bool,
    /// A hard error that ICMP reports of a segment in flight ends a connection that stands, too, as RFC 9293 §3.9.2.2 would
    /// have it (SHLD-26). Otherwise only attempts to connect end so: RFC 5927 §5.2, since such messages are easily forged.
    pub abort_on_hard_icmp: bool,
    /// Congestion control of new sockets, where the program says nothing (sysctl `tcp_congestion_control`).
    pub congestion: Algorithm,
    /// The algorithms that `TCP_CONGESTION` and the sysctl find by name (sysctl `tcp_available_congestion_control`): those of
    /// the stack, and what is added here.
    pub congestion_available: Vec<Algorithm>,
    /// What may be chosen of congestion control, whatever the algorithm.
    pub congestion_settings: Settings,
    /// Initial window, segments (RFC 6928).
    pub initial_window: u32,
    /// How many segments at the least leave in one go, as far as the windows allow (sysctl `tcp_min_tso_segs`). The last
    /// of them has PSH set.
    pub burst_segments: u8,
    /// Pace all connections (as Linux does where the queueing discipline is `fq`). Those are paced in any case whose
    /// algorithm wants it, and those with a limit of their own.
    pub pacing: bool,
    /// Pace slow start over paths of 1 ms or more: behind a connection's first ten segments 1.25 windows leave in a round
    /// trip, of a smaller window than 128 segments as many as of one of 128. So a queue that is shorter than a window holds what is sent, and flows
    /// that begin together find it full together. Where its end loses three segments and more than a fiftieth of what is
    /// underway, round trips are longer than the shortest by a quarter and the peer speaks SACK, the answer goes by what the path
    /// bore a round trip before. Linux paces slow start under the queueing discipline `fq` alone.
    pub slow_start_pacing: bool,
    /// The rate at which one is paced in slow start, per cent of a window each round trip, where it is paced all the time
    /// (`pacing`, a limit of its own): `slow_start_pacing` alone has a rate of its own (sysctl `tcp_pacing_ss_ratio`).
    pub pacing_slow_start_ratio: u16,
    /// The same after slow start (sysctl `tcp_pacing_ca_ratio`).
    pub pacing_avoidance_ratio: u16,
    /// Duplicate ACKs that mean a loss: 3 in RFC 5681 §3.2, more where a path reorders (sysctl `tcp_reordering`); 0
    /// counts as 1.
    pub reordering: u16,
    /// Probe for the loss of the last segments long before the retransmission timer (RFC 8985 §7; sysctl
    /// `tcp_early_retrans`).
    pub tail_loss_probes: bool,
    /// Find out whether a time-out was spurious (RFC 5682; sysctl `tcp_frto`).
    pub frto: bool,
    /// Who may use Fast Open (RFC 7413; sysctl `tcp_fastopen`).
    pub fast_open: Modes,
    /// The secrets of its cookies (sysctl `tcp_fastopen_key`); `None`: one that the stack draws.
    pub fast_open_secrets: Option<Secrets>,
    /// Servers whose cookies are remembered at the most.
    pub fast_open_cookies: usize,
    /// The first pause of its clients after a path seems to swallow it (sysctl `tcp_fastopen_blackhole_timeout_sec`);
    /// zero: none.
    pub fast_open_black_hole: Duration,
    /// Slow start again after an idle time (RFC 5681 §4.1), and less of a window that was not used for the time of one RTO
    /// (RFC 2861 §3.2; sysctl `tcp_slow_start_after_idle`).
    pub slow_start_after_idle: bool,
    /// How long an acknowledgment may wait: 40 ms as in Linux (RFC 9293 MUST-40: under 500 ms).
    pub delayed_ack: Duration,
    /// How many segments are acknowledged at once when a connection is young.
    pub quick_acks: u8,
    /// Find out what paths carry by probing, beside what routers tell (RFC 4821; sysctl `tcp_mtu_probing`).
    pub mtu_probing: MtuProbing,
    /// What nearly every path carries: where a search begins, and where segments fall to in a black hole. As an MSS, octets
    /// without headers but with TCP options; of IPv6 at least what its smallest packet holds (sysctl `tcp_base_mss`).
    pub base_mss: u16,
    /// The smallest MSS that is tried in a black hole, octets; of IPv4, and no less than 28 (sysctl
    /// `tcp_mtu_probe_floor`).
    pub mtu_probe_floor: u16,
    /// When a search has ended, how long until it begins anew. RFC 4821 §7.3: at least 5 minutes (sysctl
    /// `tcp_probe_interval`).
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.3
    //# The value for this timer MUST NOT be less than 5 minutes and is recommended to be 10 minutes, per RFC
    //# 1981.
    pub mtu_probe_interval: Duration,
    /// A range narrower than this is not searched, octets; 0 counts as 1 (sysctl `tcp_probe_threshold`).
    pub mtu_probe_threshold: u16,
    /// How long a connection stays in FIN-WAIT-2 when no program holds it (sysctl `tcp_fin_timeout`).
    pub fin_wait_2_timeout: Duration,
    /// Idle time before the first keep-alive probe (RFC 9293 MUST-28: at least 2 hours by default).
    pub keepalive_time: Duration,
    /// Time between keep-alive probes (sysctl `tcp_keepalive_intvl`).
    pub keepalive_interval: Duration,
    /// Unanswered keep-alive probes before the connection is given up (sysctl `tcp_keepalive_probes`).
    pub keepalive_probes: u8,
    /// Challenge ACKs and answers to unacceptable segments a connection sends in
    /// [`challenge_interval`](Self::challenge_interval) (RFC 5961 §7).
    //= https://www.rfc-editor.org/rfc/rfc5961#section-7
    //= id=rfc5961-7-1
    //# 2) The values for both the time and number of ACKs SHOULD be tunable by the system administrator to
    //# accommodate different perceived levels of threat and/or system resources.
    //= https://www.rfc-editor.org/rfc/rfc5961#section-7
    //= id=rfc5961-7-3
    //# The time limit SHOULD be tunable to help timeout brute force attacks faster than a potential
    //# legitimate flood of RSTs.
    pub challenge_limit: u8,
    /// The interval for [`challenge_limit`](Self::challenge_limit).
    pub challenge_interval: Duration,
    /// Connections without an owner at the most (sysctl `tcp_max_orphans`).
    pub max_orphans: u32,
    /// TIME-WAIT records at the most (sysctl `tcp_max_tw_buckets`).
    pub max_time_wait: u32,
    /// Runs of out-of-order data that any connection keeps. One with a larger receive buffer keeps as many as it has pairs of
    /// segments of 536 octets: so many there are where every second segment of a whole window is lost. Memory, which the
    /// receive buffer bounds, is another limit.
    pub reassembly_ranges: u16,
}

impl TcpConfig {
    /// The algorithm of that name, if there is one.
    pub fn congestion_by_name(&self, name: &[u8]) -> Option<Algorithm> {
        self.congestion_available.iter().copied().find(|algorithm| algorithm.name().as_bytes() == name)
    }

    /// How long to wait for an answer to a SYN,ACK that has timed out so often.
    pub fn syn_ack_wait(&self, timeouts: u8) -> Duration {
        self.initial_rto.saturating_mul(1 << timeouts.min(16)).min(self.max_rto)
    }

    /// After how long a SYN,ACK has timed out so often.
    pub fn syn_ack_time(&self, timeouts: u8) -> Duration {
        let waits = (0..timeouts).map(|n| self.syn_ack_wait(n));
        waits.fold(Duration::ZERO, Duration::saturating_add)
    }
}

/// When a listener answers connection requests with SYN cookies (RFC 4987 §3.6), which take no memory until the handshake
/// is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum SynCookies {
    /// Never: a request that finds the queue full is dropped.
    Never,
    /// Where the queue of requests is full.
    #[default]
    WhenFull,
    /// Always.
    Always,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            window_scaling: true,
            timestamps: true,
            tolerate_missing_timestamps: false,
            sack: true,
            ecn_incoming: EcnFeedback::Classic,
            ecn_outgoing: EcnFeedback::None,
            ecn_fallback: true,
            ecn_options: AccEcnOptions::Changes,
            ecn_option_beacon: 3,
            #[cfg(feature = "l4s")]
            l4s: false,
            send_buffer_min: 0,
            send_buffer: 1 << 20,
            send_buffer_max: 4 << 20,
            receive_buffer_min: 0,
            receive_buffer: 64 << 10,
            receive_buffer_max: 16 << 20,
            moderate_receive_buffer: true,
            unsent_low_water: 0,
            msl: Duration::from_secs(30),
            //= https://www.rfc-editor.org/rfc/rfc6298#section-2
            //= id=rfc6298-2-1
            //# the sender SHOULD set RTO <- 1 second
            initial_rto: Duration::from_secs(1),
            min_rto: Duration::from_millis(200),
            max_rto: Duration::from_secs(120),
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
            //# The value of R2 SHOULD correspond to at least 100 seconds (SHLD-11).
            r2: Duration::from_millis(924_600),
            user_timeout_option: UserTimeoutOption::default(),
            //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
            //# Consequently, the lower limit (L_LIMIT) SHOULD be set to at least 100 seconds when following the
            //# RECOMMENDED scheme described in this section.
            user_timeout_min: Duration::from_secs(100),
            user_timeout_max: Duration::from_secs(3600),
            syn_retries: 7,
            syn_ack_retries: 5,
            max_syn_backlog: 4096,
            syn_cookies: SynCookies::WhenFull,
            max_backlog: 4096,
            abort_on_overflow: false,
            abort_on_hard_icmp: false,
            congestion: Algorithm::Cubic,
            congestion_available: Algorithm::ALL.to_vec(),
            congestion_settings: Settings::default(),
            initial_window: 10,
            burst_segments: 2,
            pacing: false,
            slow_start_pacing: true,
            pacing_slow_start_ratio: 200,
            pacing_avoidance_ratio: 120,
            reordering: 3,
            tail_loss_probes: true,
            frto: true,
            fast_open: Modes::CLIENT,
            fast_open_secrets: None,
            fast_open_cookies: 1024,
            fast_open_black_hole: Duration::ZERO,
            slow_start_after_idle: true,
            delayed_ack: Duration::from_millis(40),
            quick_acks: 16,
            mtu_probing: MtuProbing::AfterBlackHole,
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.2
            //# It is RECOMMENDED that search_low be initially set to an MTU size that is likely to work over a very
            //# wide range of environments.
            base_mss: 1024,
            mtu_probe_floor: 48,
            mtu_probe_interval: Duration::from_secs(600),
            mtu_probe_threshold: 8,
            fin_wait_2_timeout: Duration::from_secs(60),
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
            //# MUST default to no less than two hours (MUST-28)
            keepalive_time: Duration::from_secs(7200),
            keepalive_interval: Duration::from_secs(75),
            keepalive_probes: 9,
            challenge_limit: 10,
            challenge_interval: Duration::from_secs(5),
            max_orphans: 65_536,
            max_time_wait: 262_144,
            reassembly_ranges: 1024,
        }
    }
}

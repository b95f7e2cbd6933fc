//! The table: each sysctl, what it takes, what it means here.

use tunstack_core::config::{AccEcnOptions, Config, EcnFeedback, MtuProbing, SynCookies};
use tunstack_core::tcp::congestion::Hystart;
use tunstack_core::tcp::fast_open::Modes;
use tunstack_core::tcp::fast_open::secret::Secrets;
use tunstack_core::time::Duration;

use super::value::{INT, Values, ports, secrets, triple, unsigned};

/// What a sysctl did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The setting has this value now.
    Set,
    /// Nothing: why, in words.
    Noted(&'static str),
}

/// A sysctl.
#[derive(Debug)]
pub struct Row {
    name: &'static str,
    does: Does,
    meaning: &'static str,
}

/// What becomes of a value.
#[derive(Debug)]
enum Does {
    Switch(fn(&mut Config, bool)),
    Number(u32, u32, fn(&mut Config, u32)),
    Triple(fn(&mut Config, [Option<u32>; 3])),
    Ports(fn(&mut Config, (u16, u16))),
    Algorithm,
    Secrets(fn(&mut Config, Secrets)),
    Note(Values, &'static str),
}

impl Row {
    /// Its name, with dots.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it takes.
    pub const fn values(&self) -> Values {
        match self.does {
            Does::Switch(_) => SWITCH,
            Does::Number(least, most, _) => Values::Number(least as i64, most as i64),
            Does::Triple(_) => Values::Triple,
            Does::Ports(_) => Values::Ports,
            Does::Algorithm => Values::Algorithm,
            Does::Secrets(_) => Values::Secrets,
            Does::Note(values, _) => values,
        }
    }

    /// What it governs: the field of [`Config`] that it sets, with the unit of its values and the RFC; or what it
    /// governs in Linux.
    pub const fn meaning(&self) -> &'static str {
        self.meaning
    }

    /// Why it is only noted, if it is.
    pub const fn noted(&self) -> Option<&'static str> {
        match self.does {
            Does::Note(_, why) => Some(why),
            _ => None,
        }
    }

    /// `None` where it does not take the value.
    pub(super) fn apply(&self, config: &mut Config, value: &str) -> Option<Effect> {
        match self.does {
            Does::Switch(set) => set(config, unsigned(value, 0, 1)? == 1),
            Does::Number(least, most, set) => set(config, unsigned(value, least, most)?),
            Does::Triple(set) => set(config, triple(value)?),
            Does::Ports(set) => set(config, ports(value)?),
            Does::Algorithm => {
                config.tcp.congestion = config.tcp.congestion_by_name(value.trim().as_bytes())?
            }
            Does::Secrets(set) => set(config, secrets(value)?),
            Does::Note(values, why) => return values.take(value).then_some(Effect::Noted(why)),
        }
        Some(Effect::Set)
    }
}

pub(super) const SWITCH: Values = Values::Number(0, 1);
pub(super) const ANY: Values = Values::Number(0, INT as i64);

const fn row(name: &'static str, does: Does, meaning: &'static str) -> Row {
    Row { name, does, meaning }
}

pub(super) const fn note(
    name: &'static str,
    values: Values,
    meaning: &'static str,
    why: &'static str,
) -> Row {
    Row { name, does: Does::Note(values, why), meaning }
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

fn millis(n: u32) -> Duration {
    Duration::from_millis(n.into())
}

/// Linux's bits, and one more for what Linux does not have.
fn hystart(config: &mut Config, bits: u32) {
    config.tcp.congestion_settings.hystart = match bits {
        0 => Hystart::Off,
        4 => Hystart::PlusPlus,
        bits => Hystart::Classic { trains: bits & 1 != 0, delays: bits & 2 != 0 },
    };
}

/// Within the limits of a row it always fits.
fn octet(n: u32) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}

/// Within the limits of a row it always fits.
fn short(n: u32) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// How long Linux takes for so many retransmissions of data: time-outs from 200 ms on, doubled up to 120 s.
fn r2(retries: u32) -> Duration {
    let wait = |n: u32| Duration::from_millis(200 << n.min(10)).min(seconds(120));
    (0..=retries).fold(Duration::ZERO, |sum, n| sum + wait(n))
}

/// What peers may ask for, and what we do.
fn ecn(config: &mut Config, n: u32) {
    use EcnFeedback::{Accurate, Classic, None};
    let both = match n {
        0 => (None, None),
        1 => (Classic, Classic),
        2 => (Classic, None),
        3 => (Accurate, Accurate),
        4 => (Accurate, Classic),
        _ => (Accurate, None),
    };
    (config.tcp.ecn_incoming, config.tcp.ecn_outgoing) = both;
}

fn ecn_option(config: &mut Config, n: u32) {
    config.tcp.ecn_options = match n {
        0 => AccEcnOptions::Never,
        1 => AccEcnOptions::Sparing,
        2 => AccEcnOptions::Changes,
        _ => AccEcnOptions::Always,
    };
}

/// Linux answers once in each such interval; 0 is no limit.
fn answer_every(config: &mut Config, interval: u32) {
    config.tcp.challenge_interval = millis(interval);
    config.tcp.challenge_limit = if interval == 0 { u8::MAX } else { 1 };
}

pub(super) const OBEYED: &[Row] = &[
    row(
        "net.ipv4.tcp_ecn",
        Does::Number(0, 5, ecn),
        "what peers may ask for and what we do, tcp.ecn_incoming and ecn_outgoing: 0 neither; 1 ECN (RFC 3168) both; 2 ECN, and we \
         nothing; 3 AccECN (RFC 9768) both; 4 AccECN, and we ECN; 5 AccECN, and we nothing",
    ),
    row(
        "net.ipv4.tcp_ecn_fallback",
        Does::Switch(|c, on| c.tcp.ecn_fallback = on),
        "tcp.ecn_fallback: no ECN on a SYN sent again (RFC 3168 §6.1.1.1, RFC 9768 §3.1.4)",
    ),
    row(
        "net.ipv4.tcp_ecn_option",
        Does::Number(0, 3, ecn_option),
        "tcp.ecn_options, the option of AccECN (RFC 9768 §3.2.3.3): 0 never, 1 sparing, 2 where a counter has moved, 3 so even where \
         the path seems to drop it",
    ),
    row(
        "net.ipv4.tcp_ecn_option_beacon",
        Does::Number(0, 63, |c, n| c.tcp.ecn_option_beacon = octet(n)),
        "tcp.ecn_option_beacon: with tcp_ecn_option of 1, how often in a round trip a counter is told that goes on moving",
    ),
    row(
        "net.ipv4.tcp_timestamps",
        Does::Number(0, 2, |c, n| c.tcp.timestamps = n > 0),
        "tcp.timestamps: offer timestamps (RFC 7323) with 1 and 2; each connection has a random offset even with 2, which in \
         Linux leaves it out: that is not done",
    ),
    row(
        "net.ipv4.tcp_window_scaling",
        Does::Switch(|c, on| c.tcp.window_scaling = on),
        "tcp.window_scaling: offer window scaling (RFC 7323)",
    ),
    row(
        "net.ipv4.tcp_sack",
        Does::Switch(|c, on| c.tcp.sack = on),
        "tcp.sack: offer selective acknowledgment (RFC 2018)",
    ),
    row(
        "net.ipv4.tcp_rmem",
        Does::Triple(|c, [least, default, most]| {
            // Linux keeps half of it for what surrounds the octets.
            c.tcp.receive_buffer_min = least.map_or(c.tcp.receive_buffer_min, |octets| octets / 2);
            c.tcp.receive_buffer = default.map_or(c.tcp.receive_buffer, |octets| octets / 2);
            c.tcp.receive_buffer_max = most.map_or(c.tcp.receive_buffer_max, |octets| octets / 2);
        }),
        "octets, of which half is window: tcp.receive_buffer_min, tcp.receive_buffer and tcp.receive_buffer_max, to which it \
         grows and for which the window scale is chosen (RFC 7323 §2.3)",
    ),
    row(
        "net.ipv4.tcp_moderate_rcvbuf",
        Does::Switch(|c, on| c.tcp.moderate_receive_buffer = on),
        "tcp.moderate_receive_buffer: receive buffers grow with what is read, where a program has not set SO_RCVBUF",
    ),
    row(
        "net.ipv4.tcp_wmem",
        Does::Triple(|c, [least, default, most]| {
            c.tcp.send_buffer_min = least.unwrap_or(c.tcp.send_buffer_min);
            c.tcp.send_buffer = default.unwrap_or(c.tcp.send_buffer);
            c.tcp.send_buffer_max = most.unwrap_or(c.tcp.send_buffer_max);
        }),
        "octets: tcp.send_buffer_min, tcp.send_buffer and tcp.send_buffer_max, to which it grows with the congestion window",
    ),
    row(
        "net.ipv4.tcp_notsent_lowat",
        Does::Number(1, u32::MAX, |c, n| c.tcp.unsent_low_water = if n == u32::MAX { 0 } else { n }),
        "octets: tcp.unsent_low_water, unsent data at which a connection is not writable; 4294967295 is no limit",
    ),
    row(
        "net.ipv4.tcp_min_tso_segs",
        Does::Number(1, 255, |c, n| c.tcp.burst_segments = octet(n)),
        "tcp.burst_segments: segments that leave in one go at the least; the last has PSH set",
    ),
    row(
        "net.ipv4.tcp_syn_retries",
        Does::Number(1, 127, |c, n| c.tcp.syn_retries = octet(n)),
        "tcp.syn_retries: how often a SYN is sent again (RFC 9293 §3.8.3)",
    ),
    row(
        "net.ipv4.tcp_synack_retries",
        Does::Number(0, 255, |c, n| c.tcp.syn_ack_retries = octet(n)),
        "tcp.syn_ack_retries: how often a SYN,ACK is sent again; 15 times at the most",
    ),
    row(
        "net.ipv4.tcp_syncookies",
        Does::Number(0, 2, |c, n| {
            c.tcp.syn_cookies = match n {
                0 => SynCookies::Never,
                1 => SynCookies::WhenFull,
                _ => SynCookies::Always,
            }
        }),
        "tcp.syn_cookies: SYN cookies (RFC 4987 §3.6) never, where the queue of requests is full, or always",
    ),
    row(
        "net.ipv4.tcp_retries2",
        Does::Number(0, 255, |c, n| c.tcp.r2 = r2(n)),
        "tcp.r2: the time that so many retransmissions take, from 200 ms on and doubled up to 120 s (RFC 9293 §3.8.3)",
    ),
    row(
        "net.ipv4.tcp_rto_min_us",
        Does::Number(1, INT, |c, n| c.tcp.min_rto = Duration::from_micros(n.into())),
        "microseconds: tcp.min_rto (RFC 6298 §2.4)",
    ),
    row(
        "net.ipv4.tcp_rto_max_ms",
        Does::Number(1_000, 120_000, |c, n| c.tcp.max_rto = millis(n)),
        "milliseconds: tcp.max_rto (RFC 6298 §2.5)",
    ),
    row(
        "net.ipv4.tcp_reordering",
        Does::Number(1, 300, |c, n| c.tcp.reordering = n.try_into().unwrap_or(u16::MAX)),
        "tcp.reordering: duplicate ACKs that mean a loss (RFC 5681 §3.2)",
    ),
    row(
        "net.ipv4.tcp_congestion_control",
        Does::Algorithm,
        "tcp.congestion: the algorithm of new sockets: reno (RFC 5681), cubic (RFC 9438), bbr, or one that a program registered",
    ),
    row(
        "module.tcp_cubic.parameters.hystart_detect",
        Does::Number(0, 4, hystart),
        "tcp.congestion_settings.hystart: 1 trains of ACKs, 2 delay, 3 both, as Linux finds them; 4 HyStart++ (RFC 9406); 0 none",
    ),
    row(
        "module.tcp_cubic.parameters.fast_convergence",
        Does::Switch(|c, on| c.tcp.congestion_settings.fast_convergence = on),
        "tcp.congestion_settings.fast_convergence (RFC 9438 §4.7)",
    ),
    row(
        "net.ipv4.tcp_pacing_ss_ratio",
        Does::Number(0, 1000, |c, n| c.tcp.pacing_slow_start_ratio = n.try_into().unwrap_or(u16::MAX)),
        "per cent: tcp.pacing_slow_start_ratio, where a connection is paced all the time",
    ),
    row(
        "net.ipv4.tcp_pacing_ca_ratio",
        Does::Number(0, 1000, |c, n| c.tcp.pacing_avoidance_ratio = n.try_into().unwrap_or(u16::MAX)),
        "per cent: tcp.pacing_avoidance_ratio, where a connection is paced",
    ),
    row(
        "net.ipv4.tcp_slow_start_after_idle",
        Does::Switch(|c, on| c.tcp.slow_start_after_idle = on),
        "tcp.slow_start_after_idle (RFC 5681 §4.1)",
    ),
    row(
        "net.ipv4.tcp_fastopen",
        Does::Number(0, INT, |c, n| c.tcp.fast_open = Modes::from_bits_retain(n)),
        "tcp.fast_open: who may use Fast Open (RFC 7413): 1 clients, 2 servers, 4 clients without cookies, 512 servers \
         without cookies, 1024 every listener",
    ),
    row(
        "net.ipv4.tcp_fastopen_key",
        Does::Secrets(|c, secrets| c.tcp.fast_open_secrets = Some(secrets)),
        "tcp.fast_open_secrets: what cookies are made with, and what older ones were (RFC 7413 §4.1.2)",
    ),
    row(
        "net.ipv4.tcp_fastopen_blackhole_timeout_sec",
        Does::Number(0, INT / 1000, |c, n| c.tcp.fast_open_black_hole = seconds(n)),
        "seconds: tcp.fast_open_black_hole, the first pause of clients after a sign that a path swallows Fast Open; 0 is none",
    ),
    row(
        "net.ipv4.tcp_fastopen_cookies",
        Does::Number(0, INT, |c, n| c.tcp.fast_open_cookies = n as usize),
        "tcp.fast_open_cookies: servers whose cookies are remembered (RFC 7413 §4.1.3)",
    ),
    row(
        "net.ipv4.tcp_mtu_probing",
        Does::Number(0, 2, |c, n| {
            c.tcp.mtu_probing = match n {
                0 => MtuProbing::Off,
                1 => MtuProbing::AfterBlackHole,
                _ => MtuProbing::Always,
            };
        }),
        "tcp.mtu_probing: find path MTUs by probing (RFC 4821); 1 after a black hole, 2 always",
    ),
    row(
        "net.ipv4.tcp_base_mss",
        Does::Number(48, 65_535, |c, n| c.tcp.base_mss = short(n)),
        "octets: tcp.base_mss, where a search begins",
    ),
    row(
        "net.ipv4.tcp_mtu_probe_floor",
        Does::Number(48, 65_535, |c, n| c.tcp.mtu_probe_floor = short(n)),
        "octets: tcp.mtu_probe_floor, the smallest that is tried",
    ),
    row(
        "net.ipv4.tcp_probe_interval",
        Does::Number(0, INT, |c, n| c.tcp.mtu_probe_interval = seconds(n)),
        "seconds: tcp.mtu_probe_interval, after which a search begins anew; at least 300 by RFC 4821 §7.3",
    ),
    row(
        "net.ipv4.tcp_probe_threshold",
        Does::Number(0, 65_535, |c, n| c.tcp.mtu_probe_threshold = short(n)),
        "octets: tcp.mtu_probe_threshold, how exact a search is",
    ),
    row(
        "net.ipv4.tcp_fin_timeout",
        Does::Number(0, INT / 1000, |c, n| c.tcp.fin_wait_2_timeout = seconds(n)),
        "seconds: tcp.fin_wait_2_timeout, for connections that no program holds",
    ),
    row(
        "net.ipv4.tcp_keepalive_time",
        Does::Number(1, INT / 1000, |c, n| c.tcp.keepalive_time = seconds(n)),
        "seconds: tcp.keepalive_time (RFC 9293 §3.8.4)",
    ),
    row(
        "net.ipv4.tcp_keepalive_intvl",
        Does::Number(1, INT / 1000, |c, n| c.tcp.keepalive_interval = seconds(n)),
        "seconds: tcp.keepalive_interval",
    ),
    row(
        "net.ipv4.tcp_keepalive_probes",
        Does::Number(1, 255, |c, n| c.tcp.keepalive_probes = octet(n)),
        "tcp.keepalive_probes: unanswered probes that end a connection",
    ),
    row(
        "net.ipv4.tcp_max_syn_backlog",
        Does::Number(1, INT, |c, n| c.tcp.max_syn_backlog = n),
        "tcp.max_syn_backlog: connection requests of one listener",
    ),
    row(
        "net.core.somaxconn",
        Does::Number(0, INT, |c, n| c.tcp.max_backlog = n),
        "tcp.max_backlog: the largest backlog of a listener",
    ),
    row(
        "net.ipv4.tcp_abort_on_overflow",
        Does::Switch(|c, on| c.tcp.abort_on_overflow = on),
        "tcp.abort_on_overflow: reset a handshake completed while the accept queue is full",
    ),
    row(
        "net.ipv4.tcp_max_orphans",
        Does::Number(0, INT, |c, n| c.tcp.max_orphans = n),
        "tcp.max_orphans: connections that no program holds",
    ),
    row(
        "net.ipv4.tcp_max_tw_buckets",
        Does::Number(0, INT, |c, n| c.tcp.max_time_wait = n),
        "tcp.max_time_wait: records in TIME-WAIT",
    ),
    row(
        "net.ipv4.tcp_invalid_ratelimit",
        Does::Number(0, INT, answer_every),
        "milliseconds: tcp.challenge_interval with a tcp.challenge_limit of one answer in it (RFC 5961 §7); 0 is no limit",
    ),
    row(
        "net.ipv4.ip_default_ttl",
        Does::Number(1, 255, |c, n| c.hop_limit = octet(n)),
        "hop_limit, of IPv6 too (RFC 791, RFC 8200)",
    ),
    row(
        "net.ipv4.ip_local_port_range",
        Does::Ports(|c, range| c.ephemeral_ports = range),
        "ephemeral_ports, both included (RFC 6056)",
    ),
    row(
        "net.ipv4.ip_no_pmtu_disc",
        Does::Switch(|c, on| c.path_mtu_discovery = !on),
        "path_mtu_discovery, turned round (RFC 1191). ICMP is believed only where it quotes what was sent, as with 3",
    ),
    row(
        "net.ipv4.route.mtu_expires",
        Does::Number(1, INT, |c, n| c.path_mtu_lifetime = seconds(n)),
        "seconds: path_mtu_lifetime (RFC 1191 §6.3)",
    ),
    row(
        "net.ipv4.icmp_msgs_per_sec",
        Does::Number(0, INT, |c, n| c.icmp_errors_per_second = n),
        "icmp_errors_per_second, of ICMPv6 too (RFC 4443 §2.4 f)",
    ),
    row(
        "net.ipv4.ipfrag_high_thresh",
        Does::Number(0, u32::MAX, |c, n| c.reassembly_memory = n as usize),
        "octets: reassembly_memory, of IPv6 too",
    ),
    row(
        "net.ipv4.ipfrag_time",
        Does::Number(1, INT / 1000, |c, n| c.reassembly_timeout = seconds(n)),
        "seconds: reassembly_timeout, of IPv6 too (RFC 1122 §3.3.2)",
    ),
    row(
        "net.core.rmem_default",
        Does::Number(2304, INT, |c, n| c.udp_receive_buffer = n as usize),
        "octets: udp_receive_buffer",
    ),
    row(
        "net.ipv4.tcp_early_retrans",
        Does::Number(0, 4, |c, n| c.tcp.tail_loss_probes = n >= 3),
        "tail loss probes with 3 and 4 (RFC 8985): tcp.tail_loss_probes",
    ),
    row(
        "net.ipv4.tcp_frto",
        Does::Number(0, 2, |c, n| c.tcp.frto = n > 0),
        "find spurious time-outs (RFC 5682): tcp.frto",
    ),
    row(
        "net.core.wmem_default",
        Does::Number(4608, INT, |c, n| c.udp_send_buffer = n as usize),
        "octets: udp_send_buffer",
    ),
];

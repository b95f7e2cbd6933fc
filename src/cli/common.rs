//! The flags that all commands share, and how values are read.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use tracing_subscriber::filter::LevelFilter;
use tunstack::core::addr::Prefix;
use tunstack::core::memory::LEAST;
use tunstack::device::setup::Offload;
use tunstack::sim::link::LinkConfig;

use super::link;

/// The heading of the flags that describe a device.
pub(crate) const DEVICE: &str = "Device and addresses";
const OUTPUT: &str = "Output";

/// What all commands have in common.
#[derive(ClapArgs, Debug, Clone)]
pub(crate) struct Common {
    /// The TUN device: made if it is not there
    #[arg(long, global = true, value_name = "NAME", default_value = "tun0", help_heading = DEVICE)]
    pub(crate) dev: String,
    /// The stack's own IPv4 address, with the length of the prefix that it shares with the host
    #[arg(long, global = true, value_name = "A/LEN", default_value = "10.7.0.2/24", value_parser = prefix)]
    #[arg(help_heading = DEVICE)]
    pub(crate) addr: Prefix,
    /// The host's IPv4 address on the device [default: 10.7.0.1: the first other one of the prefix]
    #[arg(long, global = true, value_name = "A", help_heading = DEVICE, value_parser = address)]
    pub(crate) peer: Option<IpAddr>,
    /// The stack's own IPv6 address
    #[arg(long, global = true, value_name = "A/LEN", default_value = "fd07::2/64", value_parser = prefix)]
    #[arg(help_heading = DEVICE)]
    pub(crate) addr6: Prefix,
    /// The host's IPv6 address on the device [default: fd07::1: the first other one of the prefix]
    #[arg(long, global = true, value_name = "A", help_heading = DEVICE, value_parser = address)]
    pub(crate) peer6: Option<IpAddr>,
    /// Do without IPv6
    #[arg(long, global = true, help_heading = DEVICE)]
    pub(crate) no_ipv6: bool,
    /// The largest packet, octets: at least 1280 with IPv6, 68 without
    #[arg(long, global = true, value_name = "OCTETS", default_value_t = 1500, help_heading = DEVICE)]
    pub(crate) mtu: u32,
    /// Whether the kernel sums, cuts and joins packets: on, off, or auto: on where it can
    ///
    /// With it, packets of up to 64 KiB pass at once, with the work on them left to the kernel, which is many
    /// times faster. Without it, the stack makes and takes each packet as it is on the link. A --link has packets
    /// of its own size whatever the device does.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = DEVICE)]
    #[arg(hide_possible_values = true, value_parser = offload)]
    pub(crate) offload: Offload,
    /// Read each packet for itself, and never by an io_uring
    ///
    /// A device without offload (--offload off) with one shard reads bursts of packets by an io_uring where that takes less
    /// time on this machine, which it tries out, if this program was built for it and the kernel has one and allows it.
    /// With this flag none is asked for: for a filter of system calls that kills who does so, and for strace, which does
    /// not see what is read by one. With offload there is none.
    #[arg(long, global = true, help_heading = DEVICE)]
    pub(crate) no_uring: bool,
    /// Let the kernel do its part of each flow where the program that reads it runs: more octets leave, answers are slower
    ///
    /// What is sent to a device passes the host's receive path on the processor that sends it. With this (Linux's receive
    /// flow steering, RFS) it does so where the flow's reader ran last: where processors are idle, two thirds more
    /// octets a second leave the stack, round trips take a tenth longer, and on one connection a twelfth less comes in. For a
    /// device without offload alone (--offload off): one with it gets slower. Needs root of the host and Linux 5.2, unless `up
    /// --steer` has made the device. It sets the sysctl net.core.rps_sock_flow_entries to 32768 where it is 0, for the whole
    /// machine and until it is started again, or `sysctl -w net.core.rps_sock_flow_entries=0`.
    #[arg(long, global = true, help_heading = DEVICE)]
    pub(crate) steer: bool,
    /// Let the kernel join what is sent before its TCP sees it (GRO): more octets leave, at less processor time
    ///
    /// What is sent to a device passes the host's receive path, packet by packet. With this the segments of a connection that
    /// follow each other pass it as one of up to 64 KiB: a third more octets a second leave the stack, for little more
    /// than half of the processor time of the whole machine. Small packets take longer: of connections that come many at
    /// once there are a tenth fewer, and of datagrams that leave a seventh. What ends no burst, as a segment sent again alone,
    /// may wait for 10 ms, and so may each datagram to a program that has the kernel join those (UDP_GRO, as many of QUIC have).
    /// For a device without offload and with one shard alone (--offload off). Needs root of the host and Linux 5.2, unless `up
    /// --gro` has made the device.
    #[arg(long, global = true, help_heading = DEVICE)]
    pub(crate) gro: bool,
    /// Look for packets so long before each sleep, such as 20us: answers come sooner, and a processor is busy
    ///
    /// 0us: never. Without this it is 50us, and seldom where nothing comes so soon.
    #[arg(long, global = true, value_name = "TIME", help_heading = DEVICE, value_parser = spin)]
    pub(crate) spin: Option<Duration>,
    /// The most memory for data that waits to be acknowledged or read, and for half-open and closed connections: 64M
    ///
    /// Octets, or with K, M or G: at least 1M. As it runs short, windows and buffers get smaller, connection requests are
    /// answered with SYN cookies, and at last data is dropped, to be sent again; no connection is lost. Without it,
    /// each connection's buffers are limited for themselves.
    #[arg(long, global = true, value_name = "SIZE", help_heading = DEVICE, value_parser = memory)]
    pub(crate) mem: Option<usize>,
    /// Into how many shards connections are spread, 1 to 256: each has a queue of the device, a stack and a lock
    ///
    /// More than one is of use where several processors have work to do. Not with --link or --pcap, for which packets
    /// pass one after the other.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, help_heading = DEVICE)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) shards: u16,
    /// Impair the link, each way: 100mbit,40ms,1% or lte,loss=2%,jitter=5ms
    ///
    /// Parts are joined by commas: a rate (kbit, mbit, gbit), a one-way delay (us, ms, s) and a loss (%) go
    /// by their units; jitter=, reorder=, duplicate=, corrupt= and queue= (packets) by name. A preset may
    /// come first: perfect, datacenter, lan, dsl, intercontinental, wifi, lte, satellite.
    #[arg(long, global = true, value_name = "SPEC", help_heading = DEVICE, value_parser = link::parse)]
    pub(crate) link: Option<LinkConfig>,
    /// Write every packet to FILE, as pcapng with a comment on each: open it in Wireshark
    ///
    /// A file of that name is replaced. When it cannot be written any more (full disk) the run goes on
    /// without it, the end says so, and the exit code is 1.
    #[arg(long, global = true, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) pcap: Option<PathBuf>,
    /// Write what the kernel has joined or shall cut (--offload) to the capture as the packets of the link
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub(crate) pcap_split: bool,
    /// How much to log, on standard error: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", help_heading = OUTPUT)]
    #[arg(hide_possible_values = true, value_parser = level)]
    pub(crate) log: LevelFilter,
    /// Speak JSON, an object a line
    ///
    /// The line with "event":"ready" comes when all is set up and names devices, addresses and ports; the
    /// one with "event":"summary" comes last and has the stack's counters. They are on standard output, or
    /// on standard error for commands whose standard output carries data (nc, get).
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

/// An address with the length of its prefix.
fn prefix(text: &str) -> Result<Prefix, String> {
    let Some((a, length)) = text.split_once('/') else {
        let a = address(text)?;
        let example = if a.is_ipv4() { 24 } else { 64 };
        return Err(format!("the length of the prefix is missing: write {text}/{example}"));
    };
    let a = address(a)?;
    let max = if a.is_ipv4() { 32 } else { 128 };
    match length.parse() {
        Ok(n) if n <= max => Ok(Prefix::new(a.into(), n)),
        _ => Err(format!("{length:?} is no length of a prefix: a number up to {max}")),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no IP address"))
}

fn offload(text: &str) -> Result<Offload, String> {
    match text {
        "on" => Ok(Offload::On),
        "off" => Ok(Offload::Off),
        "auto" => Ok(Offload::Auto),
        _ => Err("one of on, off, auto".to_owned()),
    }
}

/// A second at the most: who waits for longer does well to sleep.
fn spin(text: &str) -> Result<Duration, String> {
    let time = link::duration(text).filter(|time| *time <= Duration::from_secs(1));
    time.ok_or_else(|| "a time up to a second, such as 20us".to_owned())
}

/// Octets, with K, M or G for powers of 1024.
fn memory(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (text.get(..at), 10),
        Some((at, 'm' | 'M')) => (text.get(..at), 20),
        Some((at, 'g' | 'G')) => (text.get(..at), 30),
        _ => (Some(text), 0),
    };
    let octets = digits.and_then(|d| d.parse::<usize>().ok()).and_then(|n| n.checked_mul(1 << shift));
    match octets {
        Some(octets) if octets >= LEAST => Ok(octets),
        Some(_) => Err("at least 1M".to_owned()),
        None => Err(format!("{text:?} is no size: write 64M")),
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|_| "one of off, error, warn, info, debug, trace".to_owned())
}

/// Seconds, with a fraction if need be.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(t) if !t.is_zero() && t.as_secs() < 1 << 32 => Ok(t),
        _ => Err("seconds, more than 0".to_owned()),
    }
}

//! A TUN as a user wants it: made, addressed and up, and gone when it is dropped.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tunstack_core::addr::{Address, Prefix};

use super::attach::{Changes, Undo, check_name};
use super::either::TunDevice;
use super::error::DeviceError;
use super::netlink::{self, Link, LinkAddress};
#[cfg(feature = "offload")]
use super::offload::OffloadTun;
use super::steer::{self, Unsteered};
#[cfg(feature = "tun-tap")]
use super::tun::Tun;
use super::{Device, gro, sys};

/// The least MTU of a link that carries IPv4 (RFC 791 section 3.1).
const MTU_MIN: u32 = 68;
/// The least MTU of a link that carries IPv6 (RFC 8200 section 5).
const MTU_MIN_IPV6: u32 = 1280;
/// The largest IPv4 packet (RFC 791 section 3.1).
const MTU_MAX: u32 = 65_535;
/// Queues that a device has at the most (`MAX_TAP_QUEUES` in Linux).
const MAX_QUEUES: u16 = 256;
/// Packets that the kernel holds for us while the process is busy: 500, the default, is lost in a blink. Four local senders have
/// some 11,600 in flight by the usual limit of a send buffer, and one that has lost is held up by its congestion window: then what
/// it sends is cut up by our processor, with an acknowledgment that we write, and no longer by its own.
const TX_QUEUE_LEN: u32 = 16_000;

/// Whether the kernel sums, cuts and joins packets for us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Offload {
    /// It does not: each packet passes as it would on a wire.
    Off,
    /// It does, or there is no device.
    On,
    /// It does where it can.
    #[default]
    Auto,
}

/// What a TUN shall be called and which addresses its two ends have: the stack's at this process's end, and
/// the host's at the kernel's end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TunConfig {
    /// Its name; none: the kernel picks `tun0`, `tun1`, ….
    pub name: Option<String>,
    /// The stack's IPv4 address and the prefix of the link; none: no IPv4.
    pub addr: Option<Prefix>,
    /// The host's IPv4 address; none: the first of the prefix that is not the stack's.
    pub peer: Option<Address>,
    /// The stack's IPv6 address and the prefix of the link; none: no IPv6.
    pub addr6: Option<Prefix>,
    /// The host's IPv6 address; none: the first of the prefix that is not the stack's.
    pub peer6: Option<Address>,
    /// The largest IP packet, octets.
    pub mtu: u32,
    /// Whether the kernel sums, cuts and joins.
    pub offload: Offload,
    /// How many queues it has, 1 to 256; [`bring_up_queues`] serves more than one.
    pub queues: u16,
    /// Whether a burst of packets may be read by an io_uring (feature `uring`), where the kernel has one and it takes less time,
    /// which is tried out where somebody says [what bursts took](super::Frames::took), as sockets do over the device itself; it concerns a plain device
    /// with one queue alone. Without it each packet is a `read`, and no io_uring is asked for: for processes whose filter of
    /// system calls kills them for that, and for who traces their calls.
    pub uring: bool,
    /// Whether the host's kernel does its part of each flow where the program that reads the flow runs, and not on the
    /// processor that writes to the device: receive flow steering (RFS, `Documentation/networking/scaling.rst` of Linux).
    /// Where processors are idle two thirds more octets a second leave the stack, round trips get a tenth longer, and on one
    /// connection a twelfth less comes in. A device with offload gets slower by it, so it goes with [`Offload::Off`] alone. It
    /// needs root of the host and Linux 5.2, unless the device is set so already. Beside the device's queues it sets the sysctl
    /// `net.core.rps_sock_flow_entries`, where that is 0, to 32,768: this is for the whole machine, and stays until somebody
    /// sets it to 0 again ([`steer::machine`]). A network namespace that does not show the sysctl, as none but the host's own
    /// does, gets its device set, and a warning in the log.
    pub steer: bool,
    /// Whether the host's kernel joins the segments that are written, before its TCP sees them: generic receive offload (GRO).
    /// A third more octets a second leave the stack, for little more than half of the processor time of the whole machine; of
    /// connections that come many at once there are a tenth fewer, and of datagrams that leave a seventh. What does not
    /// end with PSH, as a segment that is sent again alone, may wait for 10 ms, and so may each datagram to a socket of the host's
    /// with `UDP_GRO`. For a plain device of one queue alone. It needs root of the host and Linux 5.2, unless the device is set
    /// so already, and Linux 4.15 in any case.
    pub gro: bool,
}

impl Default for TunConfig {
    /// `tun0`, the stack at 10.7.0.2/24 and fd07::2/64, the host at 10.7.0.1 and fd07::1, 1500 octets,
    /// offload where the kernel can, one queue, an io_uring where it takes less time, no flow steered, no GRO.
    fn default() -> Self {
        Self {
            name: Some("tun0".to_owned()),
            addr: Some(Prefix::new(Ipv4Addr::new(10, 7, 0, 2).into(), 24)),
            peer: None,
            addr6: Some(Prefix::new(Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2).into(), 64)),
            peer6: None,
            mtu: 1500,
            offload: Offload::Auto,
            queues: 1,
            uring: true,
            steer: false,
            gro: false,
        }
    }
}

impl TunConfig {
    /// The host's IPv4 address with the prefix of the link, if there is IPv4.
    pub fn host(&self) -> Option<Prefix> {
        self.addr.map(|addr| Prefix::new(self.peer.unwrap_or_else(|| first_other(addr)), addr.length))
    }

    /// The host's IPv6 address with the prefix of the link, if there is IPv6.
    pub fn host6(&self) -> Option<Prefix> {
        self.addr6.map(|addr| Prefix::new(self.peer6.unwrap_or_else(|| first_other(addr)), addr.length))
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] or [`DeviceError::Name`], with one line that says what is wrong.
    pub fn validate(&self) -> Result<(), DeviceError> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        if self.addr.is_none() && self.addr6.is_none() {
            return Err(invalid("addr", "no address of either family"));
        }
        validate_end("addr", self.addr, true)?;
        validate_end("addr6", self.addr6, false)?;
        validate_peer("peer", self.peer, self.addr)?;
        validate_peer("peer6", self.peer6, self.addr6)?;
        if !(1..=MAX_QUEUES).contains(&self.queues) {
            return Err(invalid("queues", format!("{} is not in 1 to {MAX_QUEUES}", self.queues)));
        }
        if self.steer && self.offload != Offload::Off {
            return Err(invalid("steer", "a device with offload gets slower by it: go without offload"));
        }
        if self.gro && self.offload != Offload::Off {
            return Err(invalid(
                "gro",
                "a device with offload takes large packets as they are: go without offload",
            ));
        }
        if self.gro && self.queues > 1 {
            return Err(invalid("gro", "several queues have none: go with one queue"));
        }
        match self.mtu {
            n if n > MTU_MAX => Err(invalid("mtu", format!("{n} is over 65535, the largest packet of IPv4"))),
            n if n < MTU_MIN => Err(invalid("mtu", format!("{n} is under 68, the least that IPv4 allows"))),
            n if n < MTU_MIN_IPV6 && self.addr6.is_some() => {
                Err(invalid("mtu", format!("{n} is under 1280, the least that IPv6 allows: go without IPv6")))
            }
            _ => Ok(()),
        }
    }
}

/// One family's end: a single host's address, in a prefix with room for the host's.
fn validate_end(field: &'static str, addr: Option<Prefix>, v4: bool) -> Result<(), DeviceError> {
    let Some(addr) = addr else { return Ok(()) };
    let full = if v4 { 32 } else { 128 };
    if addr.address.is_v4() != v4 {
        let family = if v4 { "IPv4" } else { "IPv6" };
        return Err(invalid(field, format!("{} is not an {family} address", addr.address)));
    }
    validate_address(field, addr.address, addr)?;
    if addr.length >= full {
        return Err(invalid(
            field,
            format!("{addr} leaves no address for the host: /{} at the longest", full - 1),
        ));
    }
    if addr.length == 0 {
        return Err(invalid(field, format!("{addr} is the whole Internet: /1 at the shortest")));
    }
    Ok(())
}

/// The host's end: another address of the same prefix.
fn validate_peer(
    field: &'static str,
    peer: Option<Address>,
    addr: Option<Prefix>,
) -> Result<(), DeviceError> {
    match (peer, addr) {
        (None, _) => Ok(()),
        (Some(peer), None) => Err(invalid(field, format!("{peer} without an address for the stack"))),
        (Some(peer), Some(addr)) if peer == addr.address => {
            Err(invalid(field, format!("{peer} is the stack's own address: the host needs another")))
        }
        (Some(peer), Some(addr)) if !addr.contains(peer) => {
            Err(invalid(field, format!("{peer} is not in the stack's prefix {addr}")))
        }
        (Some(peer), Some(addr)) => validate_address(field, peer, addr),
    }
}

/// Whether a host on the prefix `link` can have the address `a`.
fn validate_address(field: &'static str, a: Address, link: Prefix) -> Result<(), DeviceError> {
    let why = if !a.is_unicast() {
        "is not the address of a single host"
    } else if a.is_loopback() {
        "is a loopback address: it never leaves the host"
    } else if link.broadcast() == Some(a) {
        "is the prefix's broadcast address"
    } else if names_the_link(link) && a == netlink::network(link).into() {
        "is the prefix itself, not an address in it"
    } else {
        return Ok(());
    };
    Err(invalid(field, format!("{a} {why}")))
}

fn invalid(field: &'static str, why: impl Into<String>) -> DeviceError {
    DeviceError::Invalid { field, why: why.into() }
}

/// Whether the lowest address of a prefix means the link (RFC 1122 section 3.2.1.3) or its routers (RFC 4291
/// section 2.6.1). In a /31 and a /127 it is a host's (RFC 3021 section 2.1, RFC 6164 section 5).
fn names_the_link(prefix: Prefix) -> bool {
    let full = if prefix.address.is_v4() { 32 } else { 128 };
    prefix.length + 1 < full
}

/// The first address of the prefix that another host than `own` can have.
fn first_other(own: Prefix) -> Address {
    let skip = u32::from(names_the_link(own));
    let nth = |n: u32| match netlink::network(own) {
        IpAddr::V4(a) => Address::v4(Ipv4Addr::from_bits(a.to_bits().wrapping_add(n))),
        IpAddr::V6(a) => Address::v6(Ipv6Addr::from_bits(a.to_bits().wrapping_add(u128::from(n)))),
    };
    if nth(skip) == own.address { nth(skip + 1) } else { nth(skip) }
}

/// Makes the device of `config`, or attaches to it, and brings it to the state asked for. What was made or
/// changed goes when the [`TunDevice`] is dropped. A persistent device that is as wanted already needs no
/// privileges.
///
/// # Errors
/// The configuration makes no sense or has several queues, its addresses are in use on another interface of
/// the host, the device cannot be had (it is held by another program, is no TUN, the kernel cannot offload,
/// or the process may not), or it differs from what is wanted and the process may not change it.
pub fn bring_up(config: &TunConfig) -> Result<TunDevice, DeviceError> {
    let mut queues = bring_up_queues(config)?;
    match (queues.pop(), queues.is_empty()) {
        (Some(tun), true) => Ok(tun),
        _ => Err(invalid("queues", format!("{} are {0} devices, not one", config.queues))),
    }
}

/// [`bring_up`], with as many devices as `config` has queues. What was made or changed goes when the last of
/// them is dropped.
///
/// # Errors
/// Those of `bring_up`, but that several queues are none.
pub fn bring_up_queues(config: &TunConfig) -> Result<Vec<TunDevice>, DeviceError> {
    config.validate()?;
    check_free(config)?;
    let mut tuns = open(config)?;
    let Some(name) = tuns.first().map(|tun| tun.name().to_owned()) else { return Ok(tuns) };
    let changes = Arc::new(configure(&name, config)?);
    let mtu = u16::try_from(config.mtu).unwrap_or(u16::MAX);
    tuns.iter_mut().for_each(|tun| tun.configured(Arc::clone(&changes), mtu));
    let offload = tuns.iter().all(|tun| tun.capabilities().checksum_offload);
    tracing::debug!(device = name, mtu = config.mtu, offload, queues = tuns.len(), "device is up");
    Ok(tuns)
}

/// The device of `config` as it is: one for each queue.
fn open(config: &TunConfig) -> Result<Vec<TunDevice>, DeviceError> {
    match config.offload {
        Offload::Off => open_plain(config),
        Offload::On => open_offload(config, true),
        Offload::Auto => match open_offload(config, true) {
            Err(DeviceError::Lacking { .. }) => open_plain(config),
            other => other,
        },
    }
}

#[cfg(feature = "tun-tap")]
fn open_plain(config: &TunConfig) -> Result<Vec<TunDevice>, DeviceError> {
    match config.queues {
        1 => {
            let open = if config.gro { Tun::open_gro } else { Tun::open };
            let tun = open(config.name.as_deref())?;
            Ok(vec![TunDevice::Plain(if config.uring { tun } else { tun.without_uring() })])
        }
        _ => open_offload(config, false),
    }
}

#[cfg(not(feature = "tun-tap"))]
fn open_plain(config: &TunConfig) -> Result<Vec<TunDevice>, DeviceError> {
    if config.gro {
        return Err(DeviceError::Lacking { what: "GRO in this build" });
    }
    open_offload(config, false)
}

#[cfg(feature = "offload")]
fn open_offload(config: &TunConfig, offload: bool) -> Result<Vec<TunDevice>, DeviceError> {
    let queues = OffloadTun::open_queues(config.name.as_deref(), config.queues, offload)?;
    Ok(queues.into_iter().map(TunDevice::Offload).collect())
}

#[cfg(not(feature = "offload"))]
fn open_offload(_: &TunConfig, offload: bool) -> Result<Vec<TunDevice>, DeviceError> {
    let what = if offload { "offloads in this build" } else { "several queues in this build" };
    Err(DeviceError::Lacking { what })
}

/// Makes the device of `config`, set up for good: it stays when this process ends, and the user `owner` may
/// attach to it without privileges, with offload or without. Gives its name.
///
/// # Errors
/// Those of [`bring_up`], or flows shall be steered on several queues: all but the first, and their settings, go when nobody
/// holds the device.
pub fn persist(config: &TunConfig, owner: u32) -> Result<String, DeviceError> {
    config.validate()?;
    if config.steer && config.queues > 1 {
        return Err(invalid(
            "steer",
            "a device that stays keeps it on its first queue alone: go with one queue",
        ));
    }
    check_free(config)?;
    let tuns = open(config)?;
    let Some(tun) = tuns.first() else { return Err(invalid("queues", "none")) };
    let name = tun.name().to_owned();
    sys::set_owner(tun.readable(), owner)
        .map_err(|e| DeviceError::kernel(format!("give {name} to user {owner}"), e))?;
    let changes = configure(&name, config)?;
    sys::set_persistent(tun.readable(), true)
        .map_err(|e| DeviceError::kernel(format!("make {name} stay"), e))?;
    changes.keep();
    Ok(name)
}

/// Deletes the persistent device `name`.
///
/// # Errors
/// There is none, it is no TUN, another program holds it, or the process may not.
pub fn remove(name: &str) -> Result<(), DeviceError> {
    check_name(name)?;
    // Opening would make a device that is not there.
    let Some(link) = netlink::link(name)? else { return Err(DeviceError::Missing { name: name.to_owned() }) };
    let config = TunConfig { name: Some(name.to_owned()), ..TunConfig::default() };
    let several = link.tun.is_some_and(|tun| tun.multi_queue);
    let tuns = if several { open_offload(&config, false) } else { open_plain(&config) }?;
    tuns.iter().try_for_each(|tun| {
        sys::set_persistent(tun.readable(), false)
            .map_err(|e| DeviceError::kernel(format!("delete {name}"), e))
    })
}

/// Looks for another interface of the host with addresses that overlap those of `config`: the kernel would
/// take both and send the packets of one to the other.
fn check_free(config: &TunConfig) -> Result<(), DeviceError> {
    let addresses = netlink::all_addresses()?;
    let links = netlink::links()?;
    match overlap(config, &addresses, &links) {
        Some((wanted, theirs, link)) => {
            Err(DeviceError::InUse { wanted, interface: link.name.clone(), theirs })
        }
        None => Ok(()),
    }
}

fn overlap<'a>(
    config: &TunConfig,
    addresses: &[LinkAddress],
    links: &'a [Link],
) -> Option<(Prefix, Prefix, &'a Link)> {
    [config.addr, config.addr6].into_iter().flatten().find_map(|wanted| {
        addresses.iter().find_map(|a| {
            let theirs = a.prefix;
            let meets = wanted.contains(theirs.address) || theirs.contains(wanted.address);
            let link = links.iter().find(|l| l.index == a.index)?;
            let other = config.name.as_ref() != Some(&link.name);
            (meets && other && !is_link_local(wanted.address)).then_some((wanted, theirs, link))
        })
    })
}

/// Each link has a fe80::/10 of its own (RFC 4291 section 2.5.6).
fn is_link_local(a: Address) -> bool {
    matches!(a.ip(), IpAddr::V6(a) if a.is_unicast_link_local())
}

/// Something in which a device differs from what is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Difference {
    Mtu { is: u32, wanted: u32 },
    Down,
    Address(Prefix),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtu { is, wanted } => write!(f, "its MTU is {is}, not {wanted}"),
            Self::Down => f.write_str("it is down"),
            Self::Address(a) => write!(f, "it lacks the address {a}"),
        }
    }
}

fn differences(config: &TunConfig, link: &Link, addresses: &[LinkAddress]) -> Vec<Difference> {
    let mtu = (link.mtu != config.mtu).then_some(Difference::Mtu { is: link.mtu, wanted: config.mtu });
    let down = (!link.up).then_some(Difference::Down);
    let hosts = [config.host(), config.host6()].into_iter().flatten();
    let lacks = hosts.filter(|h| !addresses.iter().any(|a| a.prefix == *h)).map(Difference::Address);
    mtu.into_iter().chain(down).chain(lacks).collect()
}

/// Brings the device `name`, which is held, to the state asked for. On one that stays, dropping the result
/// undoes it.
fn configure(name: &str, config: &TunConfig) -> Result<Changes, DeviceError> {
    let mut changes = Changes::none(name.to_owned());
    let Some(link) = netlink::link(name)? else { return Err(DeviceError::Gone { name: name.to_owned() }) };
    let differences = differences(config, &link, &netlink::addresses(name)?);
    let stays = link.tun.is_some_and(|t| t.persistent);
    for difference in &differences {
        let done = match *difference {
            Difference::Mtu { wanted, .. } => netlink::set_mtu(name, wanted),
            Difference::Down => netlink::set_up(name, true),
            Difference::Address(a) => {
                enable_ipv6(name, a).and_then(|()| netlink::add_address(name, a.address.ip(), a.length, None))
            }
        };
        match done {
            Ok(()) if stays => changes.undo_when_dropped(match *difference {
                Difference::Mtu { is, .. } => Undo::Mtu(is),
                Difference::Down => Undo::Down,
                Difference::Address(a) => Undo::Address(a),
            }),
            Ok(()) => {}
            Err(DeviceError::NoRight { .. }) if stays => {
                let why = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(DeviceError::Unready { name: name.to_owned(), why });
            }
            Err(e) => return Err(e),
        }
    }
    for difference in &differences {
        if let Difference::Address(a) = difference {
            await_route(a.address.ip())?;
        }
    }
    if link.tx_queue_len != TX_QUEUE_LEN && !stays {
        netlink::set_tx_queue_len(name, TX_QUEUE_LEN)?;
    }
    if config.gro {
        let former =
            gro::device(name).map_err(|source| DeviceError::NoGro { name: name.to_owned(), source })?;
        if let (true, Some(former)) = (stays, former) {
            changes.undo_when_dropped(Undo::Gro(former));
        }
    }
    if config.steer {
        let former = steer_flows(name, config.queues)?;
        if stays {
            changes.undo_when_dropped(Undo::Steering(former));
        }
    }
    Ok(changes)
}

fn steer_flows(name: &str, queues: u16) -> Result<steer::Former, DeviceError> {
    let unsteered = |why| DeviceError::Unsteered { name: name.to_owned(), why };
    let former = steer::device(name, queues).map_err(unsteered)?;
    match steer::machine() {
        Ok(()) => Ok(former),
        // It may well be set: only the host's own network namespace shows it.
        Err(why @ Unsteered::Hidden) => {
            tracing::warn!("{name}: {why}");
            Ok(former)
        }
        Err(why) => {
            // The first failure says more than one of going back.
            let _ = former.put_back();
            Err(unsteered(why))
        }
    }
}

/// Waits until the kernel takes packets for an address that it was given, so that the first one is not lost. It takes
/// milliseconds; a kernel that has not managed in a second is left to it.
fn await_route(ip: IpAddr) -> Result<(), DeviceError> {
    for _ in 0..1000 {
        if netlink::is_local(ip)? {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Many hosts switch IPv6 off for each new interface; this one is ours, so it is switched on again.
fn enable_ipv6(name: &str, address: Prefix) -> Result<(), DeviceError> {
    if address.address.is_v4() {
        return Ok(());
    }
    let no_ipv6 = || DeviceError::NoIpv6 { name: name.to_owned() };
    let switch = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    match std::fs::read_to_string(&switch) {
        Ok(off) if off.trim() == "0" => Ok(()),
        Ok(_) => std::fs::write(&switch, "0").map_err(|_| no_ipv6()),
        Err(_) => Err(no_ipv6()),
    }
}

#[cfg(test)]
mod tests;

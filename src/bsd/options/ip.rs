//! `IPPROTO_IP`, on sockets of either family.

use rustix::io::Errno;
use tunstack_core::sockopt::PathMtuDiscovery;

use super::super::Result;
use super::super::abi::*;
use super::super::file::{File, Kind};
use super::row::{How, Row, flag, int, off, within};

/// Options that a value of no octets is too short for; to the others it is 0.
pub(super) const NEED_AN_OCTET: [i32; 7] =
    [IP_TTL, IP_FREEBIND, IP_TRANSPARENT, IP_MINTTL, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_MULTICAST_ALL];

pub(super) const ROWS: &[Row] = &[
    Row(IP_TOS, How::Int(traffic_class, set_traffic_class)),
    Row(IP_TTL, How::Int(hop_limit, set_hop_limit)),
    Row(IP_HDRINCL, How::Read(off)),
    Row(IP_OPTIONS, How::Octets(|_, _| Ok(Vec::new()), set_options)),
    Row(IP_RECVOPTS, How::OfDatagrams),
    Row(IP_RETOPTS, How::OfDatagrams),
    Row(IP_PKTINFO, How::OfDatagrams),
    Row(IP_MTU_DISCOVER, How::Int(discovery, set_discovery)),
    Row(IP_RECVERR, How::Stays(off, flag)),
    Row(IP_RECVTTL, How::OfDatagrams),
    Row(IP_RECVTOS, How::OfDatagrams),
    Row(IP_MTU, How::Read(path_mtu)),
    Row(IP_FREEBIND, How::Stays(off, flag)),
    Row(IP_PASSSEC, How::Stays(off, flag)),
    Row(IP_TRANSPARENT, How::Stays(off, flag)),
    Row(IP_RECVORIGDSTADDR, How::OfDatagrams),
    Row(IP_MINTTL, How::Stays(off, within::<0, 255>)),
    Row(IP_NODEFRAG, How::Read(off)),
    Row(IP_CHECKSUM, How::OfDatagrams),
    Row(IP_BIND_ADDRESS_NO_PORT, How::Stays(off, flag)),
    Row(IP_RECVFRAGSIZE, How::Stays(off, flag)),
    Row(IP_RECVERR_RFC4884, How::Stays(off, within::<0, 1>)),
    Row(IP_MULTICAST_IF, How::Octets(|_, _| Ok(vec![0; 4]), set_multicast_device)),
    Row(IP_MULTICAST_TTL, How::Int(multicast_hops, set_multicast_hops)),
    Row(IP_MULTICAST_LOOP, How::Stays(off, flag)),
    Row(IP_MULTICAST_ALL, How::Stays(off, within::<0, 1>)),
];

pub(super) fn traffic_class(file: &File) -> Result<i32> {
    Ok(file.options()?.traffic_class.into())
}

/// The upper octets of the value are of no account; the two bits of ECN are TCP's own.
pub(super) fn set_traffic_class(file: &File, value: i32) -> Result<()> {
    let [class, ..] = value.to_le_bytes();
    let ecn = if file.kind == Kind::Stream { 3 } else { 0 };
    file.change_options(|options| options.traffic_class = class & !ecn | options.traffic_class & ecn)
}

pub(super) fn hop_limit(file: &File) -> Result<i32> {
    file.query(|stack, id| {
        let own = stack.options(id)?.hop_limit;
        Ok(i32::from(if own == 0 { stack.config().hop_limit } else { own }))
    })
}

/// -1 is the stack's default again.
pub(super) fn set_hop_limit(file: &File, value: i32) -> Result<()> {
    let hops = if value == -1 { 0 } else { within::<1, 255>(value)? };
    file.change_options(|options| options.hop_limit = u8::try_from(hops).unwrap_or(0))
}

/// No options go into the header.
fn set_options(_: &File, value: &[u8]) -> Result<()> {
    if value.is_empty() { Ok(()) } else { Err(Errno::NOPROTOOPT) }
}

pub(super) fn discovery(file: &File) -> Result<i32> {
    Ok(match file.options()?.path_mtu_discovery {
        PathMtuDiscovery::Dont => IP_PMTUDISC_DONT,
        PathMtuDiscovery::Want => IP_PMTUDISC_WANT,
        PathMtuDiscovery::Do => IP_PMTUDISC_DO,
        PathMtuDiscovery::Probe => IP_PMTUDISC_PROBE,
    })
}

/// What routers say of the path is believed in any case.
pub(super) fn set_discovery(file: &File, value: i32) -> Result<()> {
    let asked = match value {
        IP_PMTUDISC_WANT => PathMtuDiscovery::Want,
        IP_PMTUDISC_DO => PathMtuDiscovery::Do,
        IP_PMTUDISC_DONT => PathMtuDiscovery::Dont,
        IP_PMTUDISC_PROBE => PathMtuDiscovery::Probe,
        IP_PMTUDISC_INTERFACE | IP_PMTUDISC_OMIT => return Err(Errno::NOPROTOOPT),
        _ => return Err(Errno::INVAL),
    };
    file.change_options(|options| options.path_mtu_discovery = asked)
}

pub(super) fn path_mtu(file: &File) -> Result<i32> {
    file.call(|stack, id, now| stack.path_mtu(id, now).map(i32::from))
}

/// `struct in_addr`, `ip_mreq` or `ip_mreqn`: the one device is always meant, and may be left unnamed.
fn set_multicast_device(file: &File, value: &[u8]) -> Result<()> {
    let named = match value.len() {
        _ if file.kind == Kind::Stream => return Err(Errno::INVAL),
        0..4 => return Err(Errno::INVAL),
        4..8 => &value[..4],
        8..12 => &value[4..8],
        _ => &value[4..12],
    };
    if named.iter().all(|octet| *octet == 0) { Ok(()) } else { Err(Errno::ADDRNOTAVAIL) }
}

pub(super) fn multicast_hops(file: &File) -> Result<i32> {
    Ok(file.options()?.multicast_hops.into())
}

/// -1 is 1 again.
fn set_multicast_hops(file: &File, value: i32) -> Result<()> {
    if file.kind == Kind::Stream {
        return Err(Errno::INVAL);
    }
    change_multicast_hops(file, value)
}

pub(super) fn change_multicast_hops(file: &File, value: i32) -> Result<()> {
    let hops = if value == -1 { 1 } else { within::<0, 255>(value)? };
    file.change_options(|options| options.multicast_hops = u8::try_from(hops).unwrap_or(1))
}

/// A value: an `int`, or one octet.
pub(super) fn number(name: i32, value: &[u8]) -> Result<i32> {
    match (int(value), value.first()) {
        (Some(value), _) => Ok(value),
        (None, Some(octet)) => Ok(i32::from(*octet)),
        (None, None) if NEED_AN_OCTET.contains(&name) => Err(Errno::INVAL),
        (None, None) => Ok(0),
    }
}

//! `IPPROTO_IPV6`, on sockets of that family.

use rustix::io::Errno;
use tunstack_core::sockopt::PathMtuDiscovery;

use super::super::Result;
use super::super::abi::*;
use super::super::file::File;
use super::ip;
use super::row::{How, Row, flag, off, within};

pub(super) const ROWS: &[Row] = &[
    Row(IPV6_2292PKTINFO, How::OfDatagrams),
    Row(IPV6_2292HOPOPTS, How::OfDatagrams),
    Row(IPV6_2292DSTOPTS, How::OfDatagrams),
    Row(IPV6_2292RTHDR, How::OfDatagrams),
    Row(IPV6_2292HOPLIMIT, How::OfDatagrams),
    Row(IPV6_FLOWINFO, How::Stays(off, flag)),
    Row(IPV6_UNICAST_HOPS, How::Int(ip::hop_limit, ip::set_hop_limit)),
    Row(IPV6_MULTICAST_IF, How::Int(off, set_multicast_device)),
    Row(IPV6_MULTICAST_HOPS, How::Int(ip::multicast_hops, ip::change_multicast_hops)),
    Row(IPV6_MULTICAST_LOOP, How::Stays(off, within::<0, 1>)),
    Row(IPV6_ROUTER_ALERT, How::Read(off)),
    Row(IPV6_MTU_DISCOVER, How::Int(ip::discovery, ip::set_discovery)),
    Row(IPV6_MTU, How::Int(ip::path_mtu, set_mtu)),
    Row(IPV6_RECVERR, How::Stays(off, flag)),
    Row(IPV6_V6ONLY, How::Int(|f| Ok(f.options()?.v6_only.into()), set_v6_only)),
    Row(IPV6_MULTICAST_ALL, How::Stays(|_| Ok(1), flag)),
    Row(IPV6_RECVERR_RFC4884, How::Stays(off, within::<0, 1>)),
    Row(IPV6_FLOWINFO_SEND, How::Stays(off, flag)),
    Row(IPV6_RECVPKTINFO, How::OfDatagrams),
    Row(IPV6_RECVHOPLIMIT, How::OfDatagrams),
    Row(IPV6_RECVHOPOPTS, How::OfDatagrams),
    Row(IPV6_RECVRTHDR, How::OfDatagrams),
    Row(IPV6_RECVDSTOPTS, How::OfDatagrams),
    Row(IPV6_RECVPATHMTU, How::Stays(off, flag)),
    Row(IPV6_DONTFRAG, How::Int(dont_fragment, set_dont_fragment)),
    Row(IPV6_RECVTCLASS, How::OfDatagrams),
    Row(IPV6_TCLASS, How::Int(ip::traffic_class, set_traffic_class)),
    Row(IPV6_MINHOPCOUNT, How::Stays(off, within::<0, 255>)),
    Row(IPV6_RECVORIGDSTADDR, How::OfDatagrams),
    Row(IPV6_TRANSPARENT, How::Stays(off, flag)),
    Row(IPV6_RECVFRAGSIZE, How::Stays(off, flag)),
    Row(IPV6_FREEBIND, How::Stays(off, flag)),
];

/// Of the one device nobody knows the number here.
fn set_multicast_device(_: &File, value: i32) -> Result<()> {
    if value == 0 { Ok(()) } else { Err(Errno::NODEV) }
}

/// Datagrams are cut to what the path takes and not to less.
fn set_mtu(_: &File, value: i32) -> Result<()> {
    match value {
        0 => Ok(()),
        1280.. => Err(Errno::NOPROTOOPT),
        _ => Err(Errno::INVAL),
    }
}

/// Before `bind` only.
fn set_v6_only(file: &File, value: i32) -> Result<()> {
    file.call(|stack, id, now| {
        if stack.local_endpoint(id)?.port != 0 {
            return Err(tunstack_core::error::Error::Invalid);
        }
        let mut options = stack.options(id)?;
        options.v6_only = value != 0;
        stack.set_options(id, options, now)
    })
}

/// What a socket refuses to cut is the same as with `IPV6_MTU_DISCOVER`.
fn dont_fragment(file: &File) -> Result<i32> {
    Ok((file.options()?.path_mtu_discovery == PathMtuDiscovery::Do).into())
}

fn set_dont_fragment(file: &File, value: i32) -> Result<()> {
    file.change_options(|options| {
        let before = options.path_mtu_discovery;
        options.path_mtu_discovery = match (value, before) {
            (0, PathMtuDiscovery::Do) => PathMtuDiscovery::Want,
            (0, before) => before,
            _ => PathMtuDiscovery::Do,
        };
    })
}

/// -1 is the default, 0.
fn set_traffic_class(file: &File, value: i32) -> Result<()> {
    ip::set_traffic_class(file, within::<-1, 255>(value)?.max(0))
}

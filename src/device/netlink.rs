//! Links, addresses and routes of the host, asked of the kernel over rtnetlink rather than of the program
//! `ip`.
//!
//! Each call opens a socket of its own in the caller's network namespace, waits for the kernel's answer and
//! closes it: this is for setting up, not for a fast path.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, Nla,
};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoTun, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use tunstack_core::addr::{Address, Prefix};

use super::error::DeviceError;

/// A network interface of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// The largest packet, octets.
    pub mtu: u32,
    /// How many packets the kernel queues for it.
    pub tx_queue_len: u32,
    /// What makes it: `tun`, `veth`, …; none for hardware and the loopback.
    pub kind: Option<String>,
    /// More about it, when its kind is `tun`.
    pub tun: Option<TunLink>,
}

/// What the kernel tells of a TUN or TAP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TunLink {
    /// It carries Ethernet frames, not IP packets.
    pub tap: bool,
    /// It stays when no program holds it.
    pub persistent: bool,
    /// It takes several descriptors.
    pub multi_queue: bool,
    /// The user who may attach without privileges.
    pub owner: Option<u32>,
}

/// An address of an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkAddress {
    /// The kernel's number of the interface.
    pub index: u32,
    /// The address, with the length of the prefix on the link.
    pub prefix: Prefix,
    /// The other end of a point-to-point link, if one is set.
    pub peer: Option<Address>,
}

/// The interface `name`, if there is one.
///
/// # Errors
/// The kernel refuses or answers what cannot be read.
pub fn link(name: &str) -> Result<Option<Link>, DeviceError> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    match request(RouteNetlinkMessage::GetLink(message), 0) {
        Ok(answers) => Ok(answers.iter().find_map(read_link)),
        Err(e) if e.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
        Err(e) => Err(DeviceError::kernel(format!("look up {name}"), e)),
    }
}

/// All interfaces of this network namespace.
///
/// # Errors
/// The kernel refuses or answers what cannot be read.
pub fn links() -> Result<Vec<Link>, DeviceError> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let answers = request(RouteNetlinkMessage::GetLink(message), NLM_F_DUMP)
        .map_err(|e| DeviceError::kernel("list the interfaces", e))?;
    Ok(answers.iter().filter_map(read_link).collect())
}

/// The kernel's number for the interface `name`.
///
/// # Errors
/// [`DeviceError::Missing`] if there is none.
pub fn link_index(name: &str) -> Result<u32, DeviceError> {
    match link(name)? {
        Some(link) => Ok(link.index),
        None => Err(DeviceError::Missing { name: name.to_owned() }),
    }
}

/// Brings an interface up or down.
///
/// # Errors
/// It does not exist, or the process may not.
pub fn set_up(name: &str, up: bool) -> Result<(), DeviceError> {
    let mut message = LinkMessage::default();
    message.header.index = link_index(name)?;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
    change(RouteNetlinkMessage::SetLink(message), 0, || {
        format!("bring {name} {}", if up { "up" } else { "down" })
    })
}

/// Sets the largest packet, octets.
///
/// # Errors
/// It does not exist, the size is out of its range, or the process may not.
pub fn set_mtu(name: &str, mtu: u32) -> Result<(), DeviceError> {
    set_attribute(name, LinkAttribute::Mtu(mtu), || format!("set the MTU of {name} to {mtu}"))
}

/// Sets how many packets the kernel queues for it.
///
/// # Errors
/// It does not exist, or the process may not.
pub fn set_tx_queue_len(name: &str, packets: u32) -> Result<(), DeviceError> {
    set_attribute(name, LinkAttribute::TxQueueLen(packets), || {
        format!("set the transmit queue of {name} to {packets} packets")
    })
}

/// Gives an interface the address `ip`, whose link has the prefix of `prefix_len` bits; with `peer`, the
/// prefix is the peer's. An IPv6 address is used at once, without asking whether another host has it
/// (`IFA_F_NODAD`): there is nobody else on a TUN.
///
/// # Errors
/// The interface does not exist, has the address already (`EEXIST`), or the process may not.
pub fn add_address(name: &str, ip: IpAddr, prefix_len: u8, peer: Option<IpAddr>) -> Result<(), DeviceError> {
    let mut message = address_message(link_index(name)?, ip, prefix_len);
    message.attributes.push(AddressAttribute::Address(peer.unwrap_or(ip)));
    if ip.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, || {
        format!("give {name} the address {ip}/{prefix_len}")
    })
}

/// Takes the address `ip` from an interface.
///
/// # Errors
/// The interface or the address does not exist, or the process may not.
pub fn delete_address(name: &str, ip: IpAddr, prefix_len: u8) -> Result<(), DeviceError> {
    let message = address_message(link_index(name)?, ip, prefix_len);
    change(RouteNetlinkMessage::DelAddress(message), 0, || {
        format!("take the address {ip}/{prefix_len} from {name}")
    })
}

/// The addresses of the interface `name`.
///
/// # Errors
/// There is no such interface.
pub fn addresses(name: &str) -> Result<Vec<LinkAddress>, DeviceError> {
    let index = link_index(name)?;
    Ok(all_addresses()?.into_iter().filter(|a| a.index == index).collect())
}

/// The addresses of all interfaces of this network namespace.
///
/// # Errors
/// The kernel refuses or answers what cannot be read.
pub fn all_addresses() -> Result<Vec<LinkAddress>, DeviceError> {
    let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = request(message, NLM_F_DUMP).map_err(|e| DeviceError::kernel("list the addresses", e))?;
    Ok(answers.iter().filter_map(read_address).collect())
}

/// Sends what is for `prefix` to the interface `name`. Bits beyond the prefix's length do not matter.
///
/// # Errors
/// The interface does not exist or is down, the route exists already (`EEXIST`), or the process may not.
pub fn add_route(name: &str, prefix: Prefix) -> Result<(), DeviceError> {
    let network = network(prefix);
    let mut message = RouteMessage::default();
    message.header.address_family = family(network);
    message.header.destination_prefix_length = prefix.length;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = if network.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    message.header.kind = RouteType::Unicast;
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(network)));
    message.attributes.push(RouteAttribute::Oif(link_index(name)?));
    change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL, || {
        format!("route {prefix} to {name}")
    })
}

/// Whether the kernel takes packets for `ip` as its own: the address has its route in the local table. IPv6
/// addresses get theirs from a work queue, a moment after [`add_address`] has returned.
///
/// # Errors
/// The kernel refuses or answers what cannot be read.
pub fn is_local(ip: IpAddr) -> Result<bool, DeviceError> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(ip);
    let answers = request(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP)
        .map_err(|e| DeviceError::kernel("list the routes", e))?;
    let wanted = RouteAttribute::Destination(RouteAddress::from(ip));
    Ok(answers.iter().any(|answer| match answer {
        RouteNetlinkMessage::NewRoute(route) => {
            route.header.kind == RouteType::Local && route.attributes.contains(&wanted)
        }
        _ => false,
    }))
}

/// Makes a pair of virtual Ethernet interfaces: `name` here, and `other` in the network namespace of the process `pid`.
///
/// # Errors
/// There is an interface of either name (`EEXIST`), no such process (`ESRCH`), or this process may not.
pub fn add_veth(name: &str, other: &str, pid: u32) -> Result<(), DeviceError> {
    let mut peer = LinkMessage::default();
    peer.attributes = vec![LinkAttribute::IfName(other.to_owned()), LinkAttribute::NetNsPid(pid)];
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, || {
        format!("make the interfaces {name} and {other}")
    })
}

/// Deletes an interface.
///
/// # Errors
/// It does not exist or cannot be deleted, or the process may not.
pub fn delete_link(name: &str) -> Result<(), DeviceError> {
    let mut message = LinkMessage::default();
    message.header.index = link_index(name)?;
    change(RouteNetlinkMessage::DelLink(message), 0, || format!("delete {name}"))
}

fn set_attribute(
    name: &str,
    attribute: LinkAttribute,
    what: impl FnOnce() -> String,
) -> Result<(), DeviceError> {
    let mut message = LinkMessage::default();
    message.header.index = link_index(name)?;
    message.attributes.push(attribute);
    change(RouteNetlinkMessage::SetLink(message), 0, what)
}

fn change(
    message: RouteNetlinkMessage,
    flags: u16,
    what: impl FnOnce() -> String,
) -> Result<(), DeviceError> {
    request(message, flags).map(drop).map_err(|e| DeviceError::kernel(what(), e))
}

/// The prefix's address without the bits beyond its length: IPv4 routes must have none set there.
pub(super) fn network(prefix: Prefix) -> IpAddr {
    let length = u32::from(prefix.length);
    match prefix.address.ip() {
        IpAddr::V4(a) => {
            let mask = !u32::MAX.checked_shr(length).unwrap_or(0);
            Ipv4Addr::from_bits(a.to_bits() & mask).into()
        }
        IpAddr::V6(a) => {
            let mask = !u128::MAX.checked_shr(length).unwrap_or(0);
            Ipv6Addr::from_bits(a.to_bits() & mask).into()
        }
    }
}

const fn family(ip: IpAddr) -> AddressFamily {
    match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn address_message(index: u32, ip: IpAddr, prefix_len: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(ip);
    message.header.prefix_len = prefix_len;
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(ip));
    message
}

fn read_link(message: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        up: message.header.flags.contains(LinkFlags::Up),
        mtu: 0,
        tx_queue_len: 0,
        kind: None,
        tun: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::TxQueueLen(packets) => link.tx_queue_len = *packets,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
                        LinkInfo::Data(InfoData::Tun(attributes)) => link.tun = Some(read_tun(attributes)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(link)
}

/// The attributes `IFLA_TUN_*` of `<linux/if_link.h>`, which the crate leaves as octets.
fn read_tun(attributes: &[InfoTun]) -> TunLink {
    const OWNER: u16 = 1;
    const TYPE: u16 = 3;
    const PERSIST: u16 = 6;
    const MULTI_QUEUE: u16 = 7;
    const TYPE_TAP: u8 = 2;
    let mut tun = TunLink::default();
    for attribute in attributes {
        let mut value = vec![0; attribute.value_len()];
        attribute.emit_value(&mut value);
        match (attribute.kind(), value.as_slice()) {
            (OWNER, &[a, b, c, d]) => tun.owner = Some(u32::from_ne_bytes([a, b, c, d])),
            (TYPE, &[kind]) => tun.tap = kind == TYPE_TAP,
            (PERSIST, &[on]) => tun.persistent = on != 0,
            (MULTI_QUEUE, &[on]) => tun.multi_queue = on != 0,
            _ => {}
        }
    }
    tun
}

fn read_address(message: &RouteNetlinkMessage) -> Option<LinkAddress> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            _ => {}
        }
    }
    // IPv6 gives IFA_LOCAL only where there is a peer; without one IFA_ADDRESS is the address itself.
    let ip = local.or(address)?;
    Some(LinkAddress {
        index: message.header.index,
        prefix: Prefix::new(ip.into(), message.header.prefix_len),
        peer: address.filter(|&a| a != ip).map(Address::from),
    })
}

/// How often a listing is asked for anew because the kernel's tables changed while it was read.
const DUMP_TRIES: u32 = 10;

/// Asks the kernel and gives its answers.
fn request(message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    for sequence in 1..=DUMP_TRIES {
        if let Some(answers) = exchange(&socket, sequence, message.clone(), flags)? {
            return Ok(answers);
        }
    }
    Err(io::Error::other("the kernel's tables change faster than they can be read"))
}

/// One question and its answers; `None` when a listing was torn by a change (`NLM_F_DUMP_INTR`).
fn exchange(
    socket: &Socket,
    sequence: u32,
    message: RouteNetlinkMessage,
    flags: u16,
) -> io::Result<Option<Vec<RouteNetlinkMessage>>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    header.sequence_number = sequence;
    let mut question = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    question.finalize();
    let mut octets = vec![0; question.buffer_len()];
    question.emit(&mut octets);
    socket.send(&octets, 0)?;

    let unreadable = |e| io::Error::new(io::ErrorKind::InvalidData, format!("unreadable answer: {e}"));
    let (mut answers, mut torn) = (Vec::new(), false);
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(unreadable)?;
            // Messages lie on boundaries of four octets (RFC 3549 section 2.3.2).
            let len = (answer.header.length as usize).next_multiple_of(4);
            rest = rest.get(len.max(4)..).unwrap_or_default();
            if answer.header.sequence_number != sequence {
                continue;
            }
            torn |= answer.header.flags & NLM_F_DUMP_INTR != 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(m) => answers.push(m),
                NetlinkPayload::Error(e) if e.code.is_some() => return Err(e.to_io()),
                // The acknowledgment, which comes after the answers.
                NetlinkPayload::Error(_) => return Ok(Some(answers)),
                NetlinkPayload::Done(d) if d.code != 0 => {
                    return Err(io::Error::from_raw_os_error(d.code.saturating_abs()));
                }
                NetlinkPayload::Done(_) => return Ok((!torn).then_some(answers)),
                NetlinkPayload::Overrun(_) => {
                    return Err(io::Error::other("the kernel's answer overran its buffer"));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reading is everybody's right; what changes something is tested in a network namespace.
    #[test]
    fn the_loopback_is_found() {
        let lo = link("lo").unwrap().expect("each namespace has a loopback");
        assert_eq!((lo.name.as_str(), lo.tun), ("lo", None));
        assert!(links().unwrap().contains(&lo));
        assert_eq!(link_index("lo").unwrap(), lo.index);
    }

    #[test]
    fn a_missing_interface_is_said() {
        assert_eq!(link("nosuchlink").unwrap(), None);
        for missing in [
            link_index("nosuchlink").map(drop),
            addresses("nosuchlink").map(drop),
            set_up("nosuchlink", true),
            delete_link("nosuchlink"),
        ] {
            assert!(matches!(missing, Err(DeviceError::Missing { .. })), "{missing:?}");
        }
    }

    #[test]
    fn networks() {
        let of = |a: &str, len| network(Prefix::new(a.parse::<IpAddr>().unwrap().into(), len)).to_string();
        assert_eq!(of("10.7.3.9", 24), "10.7.3.0");
        assert_eq!(of("10.7.3.9", 32), "10.7.3.9");
        assert_eq!(of("10.7.3.9", 0), "0.0.0.0");
        assert_eq!(of("fd07:1:2:3:4::5", 64), "fd07:1:2:3::");
        assert_eq!(of("fd07::5", 128), "fd07::5");
        assert_eq!(of("fd07::5", 0), "::");
    }

    #[test]
    fn tun_attributes() {
        use netlink_packet_core::DefaultNla;
        let nla = |kind, value: &[u8]| InfoTun::Other(DefaultNla::new(kind, value.to_vec()));
        let tun = read_tun(&[nla(1, &1000u32.to_ne_bytes()), nla(3, &[1]), nla(6, &[1]), nla(7, &[0])]);
        assert_eq!(tun, TunLink { tap: false, persistent: true, multi_queue: false, owner: Some(1000) });
        let tap = read_tun(&[nla(1, &[1]), nla(3, &[2]), nla(6, &[0]), nla(7, &[1])]);
        assert_eq!(tap, TunLink { tap: true, persistent: false, multi_queue: true, owner: None });
    }
}

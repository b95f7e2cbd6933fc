//! Whether an arriving packet may come in (RFC 1122 §3.2.1.3): a source that a host can have, and a
//! destination that is this host.

use super::route::Routes;
use crate::addr::Address;
use crate::wire::ip::{Header, protocol};

/// Why an arriving packet is dropped. Both are silent: no ICMP answers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Its source or its destination cannot be seen on a network: `ip_in_martian`.
    #[error("martian address")]
    Martian,
    /// It is for somebody else: `ip_in_addr_errors`.
    #[error("not for us")]
    NotForUs,
}

/// As what an accepted packet reached us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// To one of our addresses.
    Unicast,
    /// To a multicast group we listen to.
    Multicast,
    /// To a broadcast address of ours.
    Broadcast,
}

/// Whether a packet that came over the device may come in. Packets between our own addresses, which never
/// leave the host, must not be asked about: from outside, a source of ours is a lie.
///
/// TCP is for one host alone (RFC 9293 MUST-57); a broadcast or multicast packet that claims to carry it is
/// refused. The protocol of an IPv6 fragment is only known when it has been put together, so ask again then.
pub fn accept(header: &Header, routes: &Routes) -> Result<Delivery, Refusal> {
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.7
    //= id=rfc1122-3.2.1.7-2
    //# A host MUST NOT discard a datagram just because it was received with TTL less than 2.
    //= https://www.rfc-editor.org/rfc/rfc8200#section-3
    //= id=rfc8200-3-1
    //# A node that is the destination of a packet should not discard a packet with Hop Limit equal to zero;
    //# it should process the packet normally.
    let delivery = delivery(header.dst, routes)?;
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.3
    //= id=MUST-57
    //# MUST silently discard an incoming SYN segment that is addressed to a broadcast or multicast address
    if delivery != Delivery::Unicast && header.protocol == protocol::TCP {
        return Err(Refusal::NotForUs);
    }
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.3
    //= id=MUST-63
    //# An incoming SYN with an invalid source address MUST be ignored either by TCP or by the IP layer
    if routes.is_single_host(header.src) && !routes.is_local(header.src) {
        return Ok(delivery);
    }
    // A node that has no address yet speaks from `::`, in ICMPv6 and to groups only (RFC 4861 §4.3, RFC 3810
    // §5.2.13). No answer goes back to it.
    let looks_for_address = header.src == Address::UNSPECIFIED
        && header.protocol == protocol::ICMPV6
        && delivery == Delivery::Multicast;
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
    //= id=rfc1122-3.2.1.3-11
    //# A host MUST silently discard an incoming datagram containing an IP source address that is invalid by
    //# the rules of this section.
    if looks_for_address { Ok(delivery) } else { Err(Refusal::Martian) }
}

fn delivery(dst: Address, routes: &Routes) -> Result<Delivery, Refusal> {
    if dst.is_loopback() {
        Err(Refusal::Martian)
    } else if routes.is_assigned(dst) {
        Ok(Delivery::Unicast)
    } else if dst.is_unspecified() {
        // No host has it as its own.
        Err(Refusal::Martian)
    } else if routes.is_broadcast(dst) {
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.6
        //= id=rfc1122-3.3.6-1
        //# A host MUST recognize any of these forms in the destination address of an incoming datagram.
        // But for the broadcast to all subnets, which went with the classes (RFC 4632).
        Ok(Delivery::Broadcast)
    } else if routes.is_member(dst) {
        Ok(Delivery::Multicast)
    } else {
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.1
        //= id=rfc1122-3.1-5
        //# The host software MUST NOT automatically move into gateway mode if the host has more than one
        //# interface, as the operator of the machine may neither want to provide that service nor be
        //# competent to do so.
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
        //= id=rfc1122-3.2.1.3-10
        //# A host MUST silently discard an incoming datagram that is not destined for the host.
        Err(Refusal::NotForUs)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::addr::Prefix;
    use crate::ip::testing::a;

    fn try_accept(src: &str, dst: &str, protocol: u8) -> Result<Delivery, Refusal> {
        let routes = Routes::new(vec![Prefix::new(a("10.7.0.2"), 24), Prefix::new(a("fd00::2"), 64)]);
        let header = Header {
            src: a(src),
            dst: a(dst),
            protocol,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: false,
            fragment: None,
        };
        accept(&header, &routes)
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.3
    //= type=test
    //= id=MUST-63
    #[test]
    fn sources_no_host_can_have() {
        for src in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "10.7.0.255",
            "240.1.1.1",
            "10.7.0.2",
        ] {
            assert_eq!(try_accept(src, "10.7.0.2", protocol::UDP), Err(Refusal::Martian), "{src}");
        }
        for src in ["::", "::1", "ff02::1", "fd00::2"] {
            assert_eq!(try_accept(src, "fd00::2", protocol::TCP), Err(Refusal::Martian), "{src}");
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.3
    //= type=test
    //= id=MUST-57
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.6
    //= type=test
    //= id=rfc1122-3.3.6-1
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.7
    //= type=test
    //= id=rfc1122-3.3.7-2
    #[test]
    fn destinations() {
        use protocol::{ICMP, ICMPV6, TCP, UDP};
        assert_eq!(try_accept("10.7.0.1", "10.7.0.2", TCP), Ok(Delivery::Unicast));
        assert_eq!(try_accept("10.7.0.1", "10.7.0.3", TCP), Err(Refusal::NotForUs));
        assert_eq!(try_accept("8.8.8.8", "255.255.255.255", UDP), Ok(Delivery::Broadcast));
        assert_eq!(try_accept("10.7.0.1", "10.7.0.255", ICMP), Ok(Delivery::Broadcast));
        assert_eq!(try_accept("10.7.0.1", "10.7.0.255", TCP), Err(Refusal::NotForUs));
        assert_eq!(try_accept("10.7.0.1", "224.0.0.1", UDP), Ok(Delivery::Multicast));
        assert_eq!(try_accept("10.7.0.1", "224.0.0.9", UDP), Err(Refusal::NotForUs));
        assert_eq!(try_accept("10.7.0.1", "127.0.0.1", UDP), Err(Refusal::Martian));
        assert_eq!(try_accept("10.7.0.1", "0.0.0.0", UDP), Err(Refusal::Martian));
        assert_eq!(try_accept("fe80::1", "ff02::1", ICMPV6), Ok(Delivery::Multicast));
        assert_eq!(try_accept("fe80::1", "::1", UDP), Err(Refusal::Martian));
        assert_eq!(try_accept("fe80::1", "fd00::2", UDP), Ok(Delivery::Unicast));
    }

    #[test]
    fn unspecified_ipv6_source_only_where_harmless() {
        assert_eq!(try_accept("::", "ff02::1:ff00:2", protocol::ICMPV6), Ok(Delivery::Multicast));
        assert_eq!(try_accept("::", "ff02::1", protocol::UDP), Err(Refusal::Martian));
        assert_eq!(try_accept("::", "fd00::2", protocol::ICMPV6), Err(Refusal::Martian));
        assert_eq!(try_accept("0.0.0.0", "224.0.0.1", protocol::ICMP), Err(Refusal::Martian));
    }
}

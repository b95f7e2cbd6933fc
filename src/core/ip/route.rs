//! Where a packet may go: connected prefixes and one default, all out of the same device.
//!
//! A TUN has no neighbours to choose between, so routing is reduced to three questions: is an address ours,
//! is it a broadcast, and which of our addresses do we speak from (RFC 1122 §3.3.4.3, RFC 6724 §5)?

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::addr::{Address, Prefix};
use crate::error::Error;

/// The addresses of a host and what they say about others.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    addresses: Vec<Prefix>,
}

impl Routes {
    /// The routes of a host with these addresses. What no host can have as its own (RFC 1122 §3.2.1.3:
    /// unspecified and the rest of 0/8, multicast, broadcast, class E) is left out, and so are repetitions.
    pub fn new(addresses: Vec<Prefix>) -> Self {
        let mut routes = Self { addresses: Vec::with_capacity(addresses.len()) };
        for prefix in addresses {
            let broadcast = prefix.broadcast() == Some(prefix.address);
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
            //= id=rfc1122-3.2.1.3-1, rfc1122-3.2.1.3-2, rfc1122-3.2.1.3-3, rfc1122-3.2.1.3-4, rfc1122-3.2.1.3-5
            let possible = prefix.address.is_unicast() && !broadcast && !is_this_network(prefix.address);
            if possible && !routes.is_assigned(prefix.address) {
                routes.addresses.push(prefix);
            }
        }
        routes
    }

    /// The host's addresses, in the order they were given.
    pub fn addresses(&self) -> &[Prefix] {
        &self.addresses
    }

    /// Whether the address is one of those the host was given.
    #[inline]
    pub fn is_assigned(&self, address: Address) -> bool {
        self.addresses.iter().any(|p| p.address == address)
    }

    /// Whether a packet to this address ends here: it is one of ours, or a loopback address.
    pub fn is_local(&self, address: Address) -> bool {
        address.is_loopback() || self.is_assigned(address)
    }

    /// Whether it is the limited broadcast address or the directed broadcast address of a connected prefix
    /// (RFC 1122 §3.2.1.3 c to e). A prefix' lowest address is an ordinary one, as in Linux.
    pub fn is_broadcast(&self, address: Address) -> bool {
        address == Address::v4(Ipv4Addr::BROADCAST)
            || self.addresses.iter().any(|p| p.broadcast() == Some(address))
    }

    /// Whether one host can have it as the source of what it sends: not unspecified nor in "this network" (0/8),
    /// not a group, not a broadcast, not class E (RFC 1122 §3.2.1.3, §3.2.2).
    pub fn is_single_host(&self, address: Address) -> bool {
        address.is_unicast() && !is_this_network(address) && !self.is_broadcast(address)
    }

    /// Whether the host listens to this multicast group: all hosts (RFC 1112 §4), all nodes and the
    /// solicited-node groups of its own addresses (RFC 4291 §2.7.1).
    pub fn is_member(&self, group: Address) -> bool {
        match group.ip() {
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.7
            //= id=rfc1122-3.3.7-2
            //# If IGMP is not implemented, a host SHOULD still join the "all-hosts" group (224.0.0.1) when
            //# the IP layer is initialized and remain a member for as long as the IP layer is active.
            IpAddr::V4(a) => a == Ipv4Addr::new(224, 0, 0, 1),
            IpAddr::V6(a) => {
                a == Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1)
                    || a == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)
                    || self.addresses.iter().any(|p| solicited_node(p.address) == Some(group))
            }
        }
    }

    /// Whether something can be sent there: it is an address a packet may have as its destination, and we
    /// have one of the same family to send from.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.1.1
    //= id=rfc1122-3.3.1.1-2
    //# The host IP layer MUST operate correctly in a minimal network environment, and in particular, when
    //# there are no gateways.
    pub fn reachable(&self, dst: Address) -> bool {
        !dst.is_unspecified() && !is_this_network(dst) && self.source_for(dst).is_some()
    }

    /// Whether a packet from `src` to `dst` may leave the host, if that is where it goes.
    ///
    /// # Errors
    /// [`Error::Invalid`]: from a loopback address to somebody else, as in Linux.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
    //= id=rfc1122-3.2.1.3-7
    //# Addresses of this form MUST NOT appear outside a host.
    pub fn check_leaves(&self, src: Address, dst: Address) -> Result<(), Error> {
        if src.is_loopback() && !self.is_local(dst) { Err(Error::Invalid) } else { Ok(()) }
    }

    /// The address to speak from to `dst`, `None` when we have none of its family.
    ///
    /// RFC 6724 §5 as far as one device needs it: our own address speaks from itself (rule 1), the scope
    /// fits (rule 2), then the longest connected prefix that holds `dst` (rule 8), then the first.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.4.2
    //= id=rfc1122-3.3.4.2-3
    //# (3) In the absence of such a specification, the networking software MUST choose a source address.
    pub fn source_for(&self, dst: Address) -> Option<Address> {
        if self.is_assigned(dst) {
            return Some(dst);
        }
        if dst.is_loopback() {
            return Some(match dst.ip() {
                IpAddr::V4(_) => Address::v4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => Address::v6(Ipv6Addr::LOCALHOST),
            });
        }
        let mut best: Option<((bool, u8), Address)> = None;
        for prefix in self.addresses.iter().filter(|p| p.address.is_v4() == dst.is_v4()) {
            // Length 0 is the default route: it holds everything and says nothing.
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
            //= id=rfc1122-3.2.1.3-8
            //# A host MUST support the subnet extensions to IP [IP:3].
            let length = if prefix.contains(dst) { prefix.length } else { 0 };
            let rank = (is_link_local(prefix.address) == is_link_local(dst), length);
            if best.is_none_or(|(highest, _)| rank > highest) {
                best = Some((rank, prefix.address));
            }
        }
        best.map(|(_, address)| address)
    }
}

/// Whether the address names a host on "this network", 0/8, which has no meaning on the wire (RFC 1122 §3.2.1.3 b).
const fn is_this_network(address: Address) -> bool {
    address.is_v4() && address.v4_octets()[0] == 0
}

/// Whether the address means something on one link only: fe80::/10, multicast of interface-local and
/// link-local scope (RFC 4291 §2.7), and IPv4's 169.254/16 and 224.0.0/24 (RFC 3927, RFC 5771 §4).
fn is_link_local(address: Address) -> bool {
    match address.ip() {
        IpAddr::V4(a) => a.is_link_local() || matches!(a.octets(), [224, 0, 0, _]),
        IpAddr::V6(a) => match a.octets() {
            [0xff, scope, ..] => scope & 0xf <= 2,
            _ => a.is_unicast_link_local(),
        },
    }
}

/// The solicited-node group of an IPv6 address (RFC 4291 §2.7.1).
fn solicited_node(address: Address) -> Option<Address> {
    let [.., a, b, c] = *address.octets();
    (!address.is_v4()).then(|| Address::from_octets([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::vec;

    use super::*;
    use crate::ip::testing::a;

    fn routes(list: &[(&str, u8)]) -> Routes {
        Routes::new(list.iter().map(|(s, l)| Prefix::new(a(s), *l)).collect())
    }

    #[test]
    fn ours_and_loopback_are_local() {
        let r = routes(&[("10.7.0.2", 24), ("fd00::2", 64)]);
        for local in ["10.7.0.2", "fd00::2", "127.0.0.1", "127.255.1.2", "::1"] {
            assert!(r.is_local(a(local)), "{local}");
        }
        for other in ["10.7.0.1", "10.7.0.255", "fd00::1", "0.0.0.0", "::"] {
            assert!(!r.is_local(a(other)), "{other}");
        }
        assert!(!r.is_assigned(a("127.0.0.1")));
    }

    #[test]
    fn broadcasts() {
        let r = routes(&[("10.7.0.2", 24), ("192.168.1.1", 31)]);
        assert!(r.is_broadcast(a("255.255.255.255")));
        assert!(r.is_broadcast(a("10.7.0.255")));
        assert!(!r.is_broadcast(a("10.7.0.0")));
        assert!(!r.is_broadcast(a("10.7.1.255")));
        assert!(!r.is_broadcast(a("192.168.1.1")));
        assert!(!r.is_broadcast(a("ff02::1")));
    }

    #[test]
    fn groups() {
        let r = routes(&[("10.7.0.2", 24), ("fd00::12:3456", 64)]);
        for ours in ["224.0.0.1", "ff02::1", "ff01::1", "ff02::1:ff12:3456"] {
            assert!(r.is_member(a(ours)), "{ours}");
        }
        for other in ["224.0.0.2", "ff02::2", "ff02::1:ff12:3457", "ff05::1", "10.7.0.2"] {
            assert!(!r.is_member(a(other)), "{other}");
        }
        assert!(!routes(&[("10.7.0.2", 24)]).is_member(a("ff02::1:ff00:2")));
    }

    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
    //= type=test
    //= id=rfc1122-3.2.1.3-8
    #[test]
    fn source_is_the_longest_prefix_then_the_first() {
        let r = routes(&[("10.0.0.1", 8), ("10.7.0.2", 24), ("fd00::2", 64), ("2001:db8::2", 64)]);
        assert_eq!(r.source_for(a("10.7.0.9")), Some(a("10.7.0.2")));
        assert_eq!(r.source_for(a("10.8.0.9")), Some(a("10.0.0.1")));
        assert_eq!(r.source_for(a("8.8.8.8")), Some(a("10.0.0.1")));
        assert_eq!(r.source_for(a("2001:db8::9")), Some(a("2001:db8::2")));
        assert_eq!(r.source_for(a("2600::1")), Some(a("fd00::2")));
        assert_eq!(r.source_for(a("10.0.0.1")), Some(a("10.0.0.1")));
        assert_eq!(r.source_for(a("127.3.0.1")), Some(a("127.0.0.1")));
        assert_eq!(r.source_for(a("::1")), Some(a("::1")));
    }

    #[test]
    fn source_has_the_scope_of_the_destination() {
        let r = routes(&[("fe80::2", 64), ("fd00::2", 64), ("169.254.3.4", 16), ("10.7.0.2", 24)]);
        assert_eq!(r.source_for(a("2600::1")), Some(a("fd00::2")));
        assert_eq!(r.source_for(a("fe80::1")), Some(a("fe80::2")));
        assert_eq!(r.source_for(a("ff02::1")), Some(a("fe80::2")));
        assert_eq!(r.source_for(a("ff0e::1")), Some(a("fd00::2")));
        assert_eq!(r.source_for(a("8.8.8.8")), Some(a("10.7.0.2")));
        // Nothing better at hand: still better than silence.
        assert_eq!(routes(&[("fe80::2", 64)]).source_for(a("2600::1")), Some(a("fe80::2")));
    }

    #[test]
    fn reachable_needs_an_address_of_the_family() {
        let r = routes(&[("10.7.0.2", 24)]);
        assert!(r.reachable(a("8.8.8.8")));
        assert!(!r.reachable(a("0.0.0.0")));
        assert!(!r.reachable(a("2600::1")));
        assert!(r.reachable(a("::1")));
        assert_eq!(routes(&[]).source_for(a("8.8.8.8")), None);
    }

    #[test]
    fn impossible_addresses_of_our_own_are_left_out() {
        let r = routes(&[
            ("0.0.0.0", 0),
            ("0.1.2.3", 8),
            ("224.0.0.1", 4),
            ("10.7.0.255", 24),
            ("10.7.0.2", 24),
            ("10.7.0.2", 16),
            ("::", 0),
            ("240.0.0.1", 8),
        ]);
        assert_eq!(r.addresses(), vec![Prefix::new(a("10.7.0.2"), 24)]);
    }
}

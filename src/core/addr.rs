//! Addresses. IPv4 is held as v4-mapped IPv6 (RFC 4291 §2.5.5.2), so that one table serves both families.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which IP carries it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// An IPv4 or IPv6 address in sixteen octets, IPv4 as `::ffff:a.b.c.d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 16]);

impl Address {
    /// `::`, which means "any address of either family" where a socket is bound.
    pub const UNSPECIFIED: Self = Self([0; 16]);
    /// `0.0.0.0`, which means "any IPv4 address" where a socket is bound.
    pub const UNSPECIFIED_V4: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);

    /// From an IPv4 address.
    pub const fn v4(a: Ipv4Addr) -> Self {
        Self(a.to_ipv6_mapped().octets())
    }

    /// From an IPv6 address. A v4-mapped one becomes the IPv4 address it names.
    pub const fn v6(a: Ipv6Addr) -> Self {
        Self(a.octets())
    }

    /// From four octets in network order.
    pub const fn from_v4_octets(o: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, o[0], o[1], o[2], o[3]])
    }

    /// From sixteen octets in network order.
    pub const fn from_octets(o: [u8; 16]) -> Self {
        Self(o)
    }

    /// The sixteen octets, in network order.
    pub const fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    /// The four octets of an IPv4 address: the last four. Meaningless for IPv6.
    pub const fn v4_octets(&self) -> [u8; 4] {
        [self.0[12], self.0[13], self.0[14], self.0[15]]
    }

    /// Whether it is an IPv4 address.
    #[inline]
    pub const fn is_v4(&self) -> bool {
        // In two words, not octet by octet: each packet asks it several times.
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = self.0;
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]) == 0 && u32::from_be_bytes([i, j, k, l]) == 0xffff
    }

    /// The family it belongs to. [`Address::UNSPECIFIED`] counts as IPv6.
    pub const fn family(&self) -> Family {
        if self.is_v4() { Family::V4 } else { Family::V6 }
    }

    /// As the standard library's type.
    pub const fn ip(&self) -> IpAddr {
        if self.is_v4() {
            let [a, b, c, d] = self.v4_octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            IpAddr::V6(Ipv6Addr::from_octets(self.0))
        }
    }

    /// Whether it is `0.0.0.0` or `::`.
    #[inline]
    pub const fn is_unspecified(&self) -> bool {
        if self.is_v4() {
            u32::from_be_bytes(self.v4_octets()) == 0
        } else {
            u128::from_be_bytes(self.0) == 0
        }
    }

    /// Whether it is a multicast address of its family.
    #[inline]
    pub const fn is_multicast(&self) -> bool {
        if self.is_v4() { self.0[12] & 0xf0 == 0xe0 } else { self.0[0] == 0xff }
    }

    /// Whether it is in 127.0.0.0/8 or is `::1`.
    #[inline]
    pub const fn is_loopback(&self) -> bool {
        if self.is_v4() { self.0[12] == 127 } else { u128::from_be_bytes(self.0) == 1 }
    }

    /// Whether a single host may send from it: not unspecified, not multicast, not limited broadcast, not
    /// in 240.0.0.0/4 (RFC 1122 §3.2.1.3).
    #[inline]
    pub const fn is_unicast(&self) -> bool {
        if self.is_unspecified() || self.is_multicast() {
            return false;
        }
        !(self.is_v4() && self.0[12] >= 240)
    }
}

impl From<IpAddr> for Address {
    fn from(a: IpAddr) -> Self {
        match a {
            IpAddr::V4(a) => Self::v4(a),
            IpAddr::V6(a) => Self::v6(a),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(a: Ipv4Addr) -> Self {
        Self::v4(a)
    }
}

impl From<Ipv6Addr> for Address {
    fn from(a: Ipv6Addr) -> Self {
        Self::v6(a)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A network prefix: an address and how many of its leading bits name the network.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// An address within the prefix; for a stack's own address, that address.
    pub address: Address,
    /// Leading bits, 0 to 32 for IPv4 and 0 to 128 for IPv6.
    pub length: u8,
}

impl Prefix {
    /// An address with a prefix length, which is cut to what the family allows.
    pub const fn new(address: Address, length: u8) -> Self {
        let max = if address.is_v4() { 32 } else { 128 };
        Self { address, length: if length > max { max } else { length } }
    }

    /// Whether `a` is of the same family and shares the leading bits.
    pub fn contains(&self, a: Address) -> bool {
        if a.is_v4() != self.address.is_v4() {
            return false;
        }
        let bits = u32::from(self.length) + if a.is_v4() { 96 } else { 0 };
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        (u128::from_be_bytes(a.0) ^ u128::from_be_bytes(self.address.0)) & mask == 0
    }

    /// The directed broadcast address of an IPv4 prefix that has one (length at most 30).
    #[inline]
    pub fn broadcast(&self) -> Option<Address> {
        (self.address.is_v4() && self.length <= 30).then(|| {
            let host = u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
            let a = u32::from_be_bytes(self.address.v4_octets()) | host;
            Address::from_v4_octets(a.to_be_bytes())
        })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and a port: one end of a connection (the RFC's "socket").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: Address,
    /// The port, in host order; 0 is "not chosen yet".
    pub port: u16,
}

impl Endpoint {
    /// Any address of either family, no port.
    pub const UNSPECIFIED: Self = Self { address: Address::UNSPECIFIED, port: 0 };

    /// An address and a port.
    pub const fn new(address: Address, port: u16) -> Self {
        Self { address, port }
    }

    /// As the standard library's type.
    pub const fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.port)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(a: SocketAddr) -> Self {
        Self { address: a.ip().into(), port: a.port() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The two ends that name a connection, seen from this stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quad {
    /// Our end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
}

impl Quad {
    /// The same connection seen from the other end.
    pub const fn reversed(self) -> Self {
        Self { local: self.remote, remote: self.local }
    }

    /// It in a fixed form, in network order.
    pub(crate) fn octets(&self) -> [u8; 36] {
        let mut octets = [0; 36];
        for (half, end) in octets.chunks_exact_mut(18).zip([&self.local, &self.remote]) {
            half[..16].copy_from_slice(end.address.octets());
            half[16..].copy_from_slice(&end.port.to_be_bytes());
        }
        octets
    }

    /// Lends it in a form to be hashed. A secret hash takes each eight octets in turn, so IPv4 has its own form, of four
    /// octets an address; by its length no other is the same.
    pub(crate) fn with_octets<T>(&self, hash: impl FnOnce(&[u8]) -> T) -> T {
        let (local, remote) = (&self.local, &self.remote);
        if !local.address.is_v4() || !remote.address.is_v4() {
            return hash(&self.octets());
        }
        let mut octets = [0; 12];
        octets[..4].copy_from_slice(&local.address.v4_octets());
        octets[4..8].copy_from_slice(&remote.address.v4_octets());
        octets[8..10].copy_from_slice(&local.port.to_be_bytes());
        octets[10..].copy_from_slice(&remote.port.to_be_bytes());
        hash(&octets)
    }
}

impl fmt::Display for Quad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.local, self.remote)
    }
}

impl fmt::Debug for Quad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(s: &str) -> Address {
        s.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn prefixes() {
        let p = Prefix::new(a("10.7.0.2"), 24);
        assert!(p.contains(a("10.7.0.255")));
        assert!(!p.contains(a("10.7.1.0")));
        assert!(!p.contains(a("::10.7.0.1")));
        assert_eq!(p.broadcast(), Some(a("10.7.0.255")));
        assert!(Prefix::new(a("0.0.0.0"), 0).contains(a("8.8.8.8")));
        assert!(Prefix::new(a("::"), 0).contains(a("fd00::1")));
        assert!(!Prefix::new(a("fd00::1"), 128).contains(a("fd00::2")));
        assert_eq!(Prefix::new(a("10.0.0.1"), 31).broadcast(), None);
    }

    #[test]
    fn classes() {
        for bad in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"] {
            assert!(!a(bad).is_unicast(), "{bad}");
        }
        for good in ["10.0.0.1", "fe80::1", "127.0.0.1", "::1"] {
            assert!(a(good).is_unicast(), "{good}");
        }
        assert!(a("::ffff:1.2.3.4").is_v4());
        assert_eq!(a("::ffff:1.2.3.4"), a("1.2.3.4"));
    }

    #[test]
    fn size_is_what_the_table_counts_on() {
        assert_eq!(core::mem::size_of::<Quad>(), 36);
    }
}

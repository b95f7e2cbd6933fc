//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers as one value, and the walk over extension headers.

use crate::addr::Address;

/// Protocol numbers (IANA): what an IP packet carries.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6: nothing follows.
    pub const NO_NEXT_HEADER: u8 = 59;
}

/// The ECN field of IP (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0,
    /// ECN-capable, codepoint 01.
    Ect1 = 1,
    /// ECN-capable, codepoint 10.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fragment {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of its first octet in the whole payload, a multiple of 8.
    pub offset: u32,
    /// Whether more follow.
    pub more: bool,
}

/// What both versions of IP say about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Sender.
    pub src: Address,
    /// Receiver; with a consumed routing header the final one.
    pub dst: Address,
    /// What the payload is: a number of [`protocol`].
    pub protocol: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
    /// IPv6 flow label, 20 bits; 0 for IPv4.
    pub flow_label: u32,
    /// IPv4 DF; always true for IPv6, which routers never fragment.
    pub dont_fragment: bool,
    /// Set when the packet is one fragment of a larger one. An IPv6 atomic fragment (offset 0, nothing more)
    /// has it set too.
    pub fragment: Option<Fragment>,
}

impl Header {
    /// The ECN field.
    pub const fn ecn(&self) -> Ecn {
        match self.traffic_class & 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// Octets its emitted form takes: 20 for IPv4 (we send no options), 40 for IPv6, 48 with a fragment
    /// header.
    pub const fn emitted_len(&self) -> usize {
        match (self.src.is_v4(), self.fragment) {
            (true, _) => 20,
            (false, None) => 40,
            (false, Some(_)) => 48,
        }
    }
}

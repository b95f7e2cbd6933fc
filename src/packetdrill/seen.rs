//! A packet as a script can speak of it, and in what two of them differ.

use std::net::{IpAddr, SocketAddr};

use tunstack_core::wire::ip::Fragment;

use super::options::{SeenOption, read};
use super::script::TcpOption;

/// A whole packet, taken apart as far as a script can say something about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// IP headers that enclose the packet, outermost first.
    pub outer: Vec<SeenIp>,
    /// Its own IP header.
    pub ip: SeenIp,
    /// What it carries.
    pub carried: Carried,
    /// Not 0: segments with this many octets of data each, which the device would have cut.
    pub gso_size: u16,
}

/// An IP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeenIp {
    /// Sender.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// DSCP in the upper six bits, ECN in the lower two.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// 20 bits; 0 for IPv4.
    pub flow_label: u32,
    /// Octets of the header beyond the 20 of IPv4 or the 40 of IPv6: options, extension headers.
    pub extra: usize,
    /// IPv4 DF; always true for IPv6.
    pub dont_fragment: bool,
    /// Where it belongs, if it is a fragment.
    pub fragment: Option<Fragment>,
}

/// What a packet carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Carried {
    /// A TCP segment.
    Tcp(SeenTcp),
    /// A UDP datagram.
    Udp(SeenUdp),
    /// A message of ICMP or ICMPv6, by the version of the IP header.
    Icmp(SeenIcmp),
    /// Anything else, and every fragment.
    Other {
        /// The protocol number.
        protocol: u8,
        /// Octets of it.
        len: usize,
    },
}

/// A TCP segment, numbers as they stand in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenTcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// The lower twelve bits of offset and flags: AE is 0x100, and what is above it is reserved.
    pub flags: u16,
    /// The window, unscaled.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
    /// All octets between header and data, for [`read`].
    pub options: Vec<u8>,
    /// Octets of data.
    pub len: usize,
    /// Which octet of the data is the first that is not zero.
    pub nonzero: Option<usize>,
}

impl SeenTcp {
    /// TSval and TSecr, where there is such an option.
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        read(&self.options).into_iter().find_map(|option| match option {
            SeenOption::Known(TcpOption::Timestamps { val, ecr }) => Some((val, ecr)),
            _ => None,
        })
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeenUdp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Octets of data.
    pub len: usize,
    /// Which octet of the data is the first that is not zero.
    pub nonzero: Option<usize>,
}

/// A message of ICMP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenIcmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Octets 4 to 7: an MTU, an identifier and a number, a pointer.
    pub word: u32,
    /// What follows, the quoted packet of an error.
    pub body: Vec<u8>,
}

impl Seen {
    /// Source and destination; port 0 where what it carries has none.
    pub fn ends(&self) -> (SocketAddr, SocketAddr) {
        let (src, dst) = match &self.carried {
            Carried::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
            Carried::Udp(udp) => (udp.src_port, udp.dst_port),
            Carried::Icmp(_) | Carried::Other { .. } => (0, 0),
        };
        (SocketAddr::new(self.ip.src, src), SocketAddr::new(self.ip.dst, dst))
    }

    /// Octets of data that a script would give the packet.
    pub fn data_len(&self) -> usize {
        match &self.carried {
            Carried::Tcp(tcp) => tcp.len,
            Carried::Udp(udp) => udp.len,
            Carried::Icmp(icmp) => icmp.body.len(),
            Carried::Other { len, .. } => *len,
        }
    }
}

/// One thing in which a packet is not as the script says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// What, in words.
    pub field: &'static str,
    /// As the script has it.
    pub expected: String,
    /// As it stands in the packet, in the script's numbers.
    pub actual: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.actual)
    }
}

//! What the tests of this room share: addresses, and the header of a packet between two hosts.

use core::net::IpAddr;

use crate::addr::Address;
use crate::wire::ip::{Header, protocol};

pub(super) fn a(s: &str) -> Address {
    s.parse::<IpAddr>().unwrap().into()
}

pub(super) fn header(v4: bool) -> Header {
    Header {
        src: a(if v4 { "10.7.0.1" } else { "fd00::1" }),
        dst: a(if v4 { "10.7.0.2" } else { "fd00::2" }),
        protocol: protocol::UDP,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: !v4,
        fragment: None,
    }
}

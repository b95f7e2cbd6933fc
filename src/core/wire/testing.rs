//! What the tests of this room share: strategies for headers and octets.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::ip::Header;
use crate::addr::{Address, Family};

/// Any octets, up to `max` of them.
pub(super) fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..=max)
}

/// Two addresses of one family.
pub(super) fn ends() -> impl Strategy<Value = (Address, Address)> {
    let v4 = any::<([u8; 4], [u8; 4])>()
        .prop_map(|(a, b)| (Address::from_v4_octets(a), Address::from_v4_octets(b)));
    let v6 = any::<([u8; 16], [u8; 16])>()
        .prop_map(|(a, b)| (Address::from_octets(a), Address::from_octets(b)))
        .prop_filter("v4-mapped", |(a, b)| !a.is_v4() && !b.is_v4());
    prop_oneof![v4, v6]
}

/// The header of a whole packet.
pub(super) fn header(protocol: u8) -> impl Strategy<Value = Header> {
    (ends(), any::<(u8, u8, bool)>(), 0..1u32 << 20).prop_map(
        move |((src, dst), (hop_limit, traffic_class, dont_fragment), flow_label)| {
            let v4 = src.family() == Family::V4;
            Header {
                src,
                dst,
                protocol,
                hop_limit,
                traffic_class,
                flow_label: if v4 { 0 } else { flow_label },
                dont_fragment: dont_fragment || !v4,
                fragment: None,
            }
        },
    )
}

/// A header with plain contents.
pub(super) fn plain(family: Family, protocol: u8) -> Header {
    let (src, dst) = match family {
        Family::V4 => (Address::from_v4_octets([10, 0, 0, 1]), Address::from_v4_octets([10, 0, 0, 2])),
        Family::V6 => (Address::from_octets([0x20; 16]), Address::from_octets([0xfd; 16])),
    };
    Header {
        src,
        dst,
        protocol,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
    }
}

use alloc::vec;

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, IpSlice, Ipv4Header, Ipv4Options, Ipv6Extensions, Ipv6FlowLabel,
    Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader, Ipv6RoutingExtensions, PacketBuilder,
};
use proptest::prelude::*;

use super::*;
use crate::addr::Family;
use crate::wire::testing::{header, octets, plain};

const SCTP: u8 = 132;

/// A header that may belong to a fragment, and a payload that fits it.
fn header_and_payload() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let fragment = proptest::option::of((any::<(u32, bool)>(), 0..8_000u32));
    (header(SCTP), fragment, octets(100)).prop_map(|(mut header, fragment, mut payload)| {
        header.fragment = fragment.map(|((id, more), eighths)| Fragment {
            id: if header.src.is_v4() { id & 0xffff } else { id },
            // IPv4 has no fragment header that cuts nothing.
            offset: if header.src.is_v4() && !more { eighths.max(1) } else { eighths } * 8,
            more,
        });
        if header.fragment.is_some_and(|f| f.more) {
            payload.resize(payload.len().next_multiple_of(8), 0);
        }
        if header.fragment.is_some() && payload.is_empty() {
            payload.resize(8, 0);
        }
        (header, payload)
    })
}

/// IPv6 header, then `rest`, which begins with a header of type `next`.
fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    plain(Family::V6, next).emit(rest.len(), 0, &mut packet).unwrap();
    packet.extend_from_slice(rest);
    packet
}

/// IPv4 header with options and a valid checksum, then `payload`.
fn v4(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut ip =
        Ipv4Header::new(payload.len() as u16, 9, IpNumber(SCTP), [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
    ip.options = Ipv4Options::try_from(options).unwrap();
    ip.set_payload_len(payload.len()).unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    let mut packet = ip.to_bytes().to_vec();
    packet.extend_from_slice(payload);
    packet
}

fn fix_v4_checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = Sum::new().add(&packet[..20]).finish();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn problem(pointer: u16, code: u8) -> Option<WireError> {
    Some(WireError::Unrecognised { pointer, code, even_multicast: false })
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed((header, payload) in header_and_payload(), id: u16, padding in octets(9)) {
        let mut out = vec![0xee; 3];
        header.emit(payload.len(), id, &mut out).unwrap();
        let mut packet = out.split_off(3);
        prop_assert_eq!(packet.len(), header.emitted_len());
        packet.extend_from_slice(&payload);
        let len = packet.len();
        packet.extend_from_slice(&padding);
        let parsed = parse(&packet).unwrap();
        prop_assert_eq!(parsed.header, header);
        prop_assert_eq!(destination(&packet), Some(header.dst));
        prop_assert_eq!(parsed.payload, &payload);
        prop_assert_eq!(parsed.header_len, header.emitted_len());
        prop_assert_eq!(parsed.packet.len(), len);
        prop_assert_eq!(packet[usize::from(parsed.protocol_offset)], SCTP);
    }

    #[test]
    fn etherparse_reads_what_is_emitted((header, payload) in header_and_payload(), id: u16) {
        let mut packet = Vec::new();
        header.emit(payload.len(), id, &mut packet).unwrap();
        packet.extend_from_slice(&payload);
        match IpSlice::from_slice(&packet).unwrap() {
            IpSlice::Ipv4(ip) => {
                let theirs = ip.header().to_header();
                prop_assert_eq!(theirs.header_checksum, theirs.calc_header_checksum());
                prop_assert_eq!(theirs.source, header.src.v4_octets());
                prop_assert_eq!(theirs.destination, header.dst.v4_octets());
                prop_assert_eq!((theirs.protocol.0, theirs.time_to_live), (SCTP, header.hop_limit));
                prop_assert_eq!(theirs.dscp.value() << 2 | theirs.ecn.value(), header.traffic_class);
                prop_assert_eq!(theirs.dont_fragment, header.dont_fragment);
                let f = header.fragment.unwrap_or(Fragment { id: id.into(), offset: 0, more: false });
                prop_assert_eq!(u32::from(theirs.identification), f.id);
                prop_assert_eq!(u32::from(theirs.fragment_offset.byte_offset()), f.offset);
                prop_assert_eq!(theirs.more_fragments, f.more);
                prop_assert_eq!(ip.payload().payload, &payload);
            }
            IpSlice::Ipv6(ip) => {
                let theirs = ip.header().to_header();
                prop_assert_eq!(&theirs.source, header.src.octets());
                prop_assert_eq!(&theirs.destination, header.dst.octets());
                prop_assert_eq!((theirs.traffic_class, theirs.hop_limit), (header.traffic_class, header.hop_limit));
                prop_assert_eq!(theirs.flow_label.value(), header.flow_label);
                prop_assert_eq!(ip.payload().ip_number.0, SCTP);
                prop_assert_eq!(ip.payload().payload, &payload);
                prop_assert_eq!(ip.is_payload_fragmented(), header.fragment.is_some_and(|f| !f.is_atomic()));
                if let Some(f) = header.fragment {
                    let (theirs, _) = Ipv6FragmentHeader::from_slice(&packet[40..]).unwrap();
                    prop_assert_eq!(theirs.identification, f.id);
                    prop_assert_eq!(u32::from(theirs.fragment_offset.byte_offset()), f.offset);
                    prop_assert_eq!(theirs.more_fragments, f.more);
                }
            }
        }
    }

    #[test]
    fn etherparse_writes_what_is_parsed_v4(
        options in proptest::collection::vec(Just(1u8), 0..=10), payload in octets(50), bits: (u8, u16, bool)
    ) {
        let mut options = options;
        options.resize(options.len() * 4, 0);
        let mut ip = Ipv4Header::new(0, bits.0, IpNumber(SCTP), [192, 0, 2, 1], [192, 0, 2, 2]).unwrap();
        ip.options = Ipv4Options::try_from(&options[..]).unwrap();
        ip.identification = bits.1;
        ip.dont_fragment = bits.2;
        let mut packet = Vec::new();
        PacketBuilder::ip(IpHeaders::Ipv4(ip, Default::default()))
            .write(&mut packet, IpNumber(SCTP), &payload)
            .unwrap();
        let parsed = parse(&packet).unwrap();
        prop_assert_eq!(parsed.header_len, 20 + options.len());
        prop_assert_eq!(parsed.payload, payload);
        prop_assert_eq!(parsed.header.hop_limit, bits.0);
        prop_assert_eq!(parsed.header.dont_fragment, bits.2);
        prop_assert_eq!(parsed.header.fragment, None);
    }

    #[test]
    fn etherparse_writes_what_is_parsed_v6(present: [bool; 4], label in 0..1u32 << 20, id: u32, payload in octets(50)) {
        let [hop_by_hop, routing, fragment, destination] = present;
        let padding = |len: u8| Ipv6RawExtHeader::new_raw(IpNumber(0), &vec![0; 6 + 8 * usize::from(len)]).unwrap();
        let extensions = Ipv6Extensions {
            hop_by_hop_options: hop_by_hop.then(|| padding(1)),
            destination_options: destination.then(|| padding(2)),
            // Type 0 with nothing left of the route.
            routing: routing.then(|| Ipv6RoutingExtensions { routing: padding(2), final_destination_options: None }),
            fragment: fragment.then(|| Ipv6FragmentHeader::new(IpNumber(0), IpFragOffset::ZERO, false, id)),
            auth: None,
        };
        let ip = Ipv6Header {
            flow_label: Ipv6FlowLabel::try_new(label).unwrap(),
            source: [0x20; 16],
            destination: [0xfd; 16],
            ..Default::default()
        };
        let mut packet = Vec::new();
        let len = extensions.header_len();
        PacketBuilder::ip(IpHeaders::Ipv6(ip, extensions)).write(&mut packet, IpNumber(SCTP), &payload).unwrap();
        let parsed = parse(&packet).unwrap();
        prop_assert_eq!(parsed.payload, payload);
        prop_assert_eq!(parsed.header_len, 40 + len);
        prop_assert_eq!(parsed.header.protocol, SCTP);
        prop_assert_eq!(packet[usize::from(parsed.protocol_offset)], SCTP);
        prop_assert_eq!(parsed.header.flow_label, label);
        prop_assert_eq!(parsed.header.fragment, fragment.then_some(Fragment { id, offset: 0, more: false }));
    }

    #[test]
    fn no_octets_panic(bytes in octets(120)) {
        _ = (parse(&bytes), destination(&bytes));
        _ = walk_v6_payload(bytes.first().copied().unwrap_or(0), plain(Family::V6, 0), &bytes);
    }

    /// Octets out of which headers grow by themselves: few values, all of which mean something.
    #[test]
    fn no_chain_of_headers_panics(
        next in prop::sample::select(&[0u8, 6, 43, 44, 59, 60][..]),
        rest in proptest::collection::vec(prop::sample::select(&[0u8, 0, 0, 1, 2, 5, 6, 8, 43, 44, 59, 60, 0x45, 0xc2][..]), 0..200),
    ) {
        let packet = v6(next, &rest);
        if let Ok(parsed) = parse(&packet) {
            prop_assert_eq!(parsed.packet, &packet);
            prop_assert!(packet[parsed.header_len..].starts_with(parsed.payload));
            prop_assert_eq!(packet[usize::from(parsed.protocol_offset)], parsed.header.protocol);
            prop_assert!(!matches!(parsed.header.protocol, 0 | 43 | 44 | 60) || parsed.header.fragment.is_some());
        }
        _ = walk_v6_payload(next, plain(Family::V6, 0), &rest);
    }

    #[test]
    fn no_bit_of_an_ipv4_header_flips_unseen(class: u8, ttl: u8, payload in octets(30)) {
        let mut packet = Vec::new();
        let header = Header { traffic_class: class, hop_limit: ttl, ..plain(Family::V4, SCTP) };
        header.emit(payload.len(), 7, &mut packet).unwrap();
        packet.extend_from_slice(&payload);
        // Bit 5 makes version 6 of 4, and IPv6 has no checksum.
        for bit in (0..160).filter(|&bit| bit != 5) {
            packet[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(parse(&packet).is_err(), "{}", bit);
            packet[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_reassembled_packet_is_what_it_was(options in 0..3u8, mut text in octets(80), cut in any::<prop::sample::Index>()) {
        // Destination options, then SCTP: whole, and cut behind a fragment header.
        text.push(1);
        let mut whole = vec![SCTP, options];
        whole.resize(8 + 8 * usize::from(options), 0);
        whole.extend_from_slice(&text);
        // Behind the options, or the first fragment would lack a part of its headers' chain.
        let least = 1 + usize::from(options);
        let cut = 8 * (least + cut.index((whole.len() - 1) / 8 + 1 - least));
        let (first, last) = whole.split_at(cut);
        let part = |bytes: &[u8], offset: u16, more: u16| {
            let mut rest = vec![60, 0];
            rest.extend((offset | more).to_be_bytes());
            rest.extend([0, 0, 0, 9]);
            rest.extend_from_slice(bytes);
            v6(44, &rest)
        };
        let (first, last) = (part(first, 0, 1), part(last, cut as u16, 0));
        let (first, last) = (parse(&first).unwrap(), parse(&last).unwrap());
        prop_assert_eq!(first.header.fragment, Some(Fragment { id: 9, offset: 0, more: true }));
        prop_assert_eq!(last.header.fragment, Some(Fragment { id: 9, offset: cut as u32, more: false }));
        prop_assert_eq!((first.header.protocol, first.header_len), (60, 48));
        let joined = [first.payload, last.payload].concat();
        let (header, payload) = walk_v6_payload(first.header.protocol, first.header, &joined).unwrap();
        prop_assert_eq!(payload, &text);
        prop_assert_eq!(header, Header { protocol: SCTP, fragment: None, ..first.header });
    }
}

#[test]
fn lengths() {
    assert_eq!(parse(&[]), Err(WireError::Truncated));
    assert_eq!(parse(&[0x50; 60]), Err(WireError::Version));
    let good = v4(&[], &[1, 2, 3]);
    assert_eq!(parse(&good[..22]), Err(WireError::Truncated));
    assert_eq!(parse(&good[..19]), Err(WireError::Truncated));
    let mut short = good.clone();
    short[3] = 19;
    assert_eq!(parse(&short), Err(WireError::Length));
    let mut words = good.clone();
    words[0] = 0x44;
    assert_eq!(parse(&words), Err(WireError::Length));
    let mut sum = good;
    sum[10] ^= 1;
    assert_eq!(parse(&sum), Err(WireError::Checksum));
    let good = v6(SCTP, &[1, 2, 3]);
    assert_eq!(parse(&good[..42]), Err(WireError::Truncated));
    assert_eq!(parse(&good[..39]), Err(WireError::Truncated));
    assert_eq!(
        (destination(&good[..39]), destination(&[0x45; 19]), destination(&[0; 40])),
        (None, None, None)
    );
}

#[test]
fn what_has_no_form_is_not_emitted() {
    let mut out = Vec::new();
    let (four, six) = (plain(Family::V4, 6), plain(Family::V6, 6));
    assert_eq!(four.emit(65_515, 0, &mut out), Ok(()));
    assert_eq!(six.emit(65_535, 0, &mut out), Ok(()));
    out.clear();
    assert_eq!(four.emit(65_516, 0, &mut out), Err(WireError::Length));
    assert_eq!(six.emit(65_536, 0, &mut out), Err(WireError::Length));
    assert_eq!(six.emit(usize::MAX, 0, &mut out), Err(WireError::Length));
    let fragment = Some(Fragment { id: 1, offset: 8, more: true });
    assert_eq!(Header { fragment, ..six }.emit(65_528, 0, &mut out), Err(WireError::Length));
    for offset in [4, 65_536] {
        let fragment = Some(Fragment { id: 1, offset, more: true });
        assert_eq!(Header { fragment, ..four }.emit(8, 0, &mut out), Err(WireError::Length));
    }
    assert_eq!(Header { dst: six.dst, ..four }.emit(8, 0, &mut out), Err(WireError::Version));
    assert!(out.is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2
//= type=test
//= id=MUST-50
#[test]
fn v4_options() {
    for (options, error) in [
        (&[1, 1, 1, 0][..], None),
        (&[148, 4, 0, 0], None),           // router alert
        (&[7, 7, 4, 0, 0, 0, 0, 0], None), // record route
        (&[0, 1, 131, 3], None),           // nothing behind the end counts
        (&[131, 7, 4, 0, 0, 0, 0, 0], Some(WireError::Discard)),
        (&[1, 137, 3, 4], Some(WireError::Discard)),
        (&[1, 68, 1, 0], problem(21, 0)),
        (&[1, 1, 68, 3], problem(22, 0)),
        (&[1, 1, 1, 68], problem(23, 0)),
    ] {
        assert_eq!(parse(&v4(options, b"text")).err(), error, "{options:?}");
    }
}

#[test]
fn v4_fragments() {
    let cut = |field: u16, payload: &[u8]| {
        let mut packet = v4(&[], payload);
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        fix_v4_checksum(&mut packet);
        parse(&packet).map(|p| p.header.fragment.map(|f| (f.offset, f.more)))
    };
    assert_eq!(cut(0x0000, &[]), Ok(None));
    assert_eq!(cut(0x8000, &[]), Ok(None)); // the reserved bit says nothing
    assert_eq!(cut(0x2000, &[0; 16]), Ok(Some((0, true))));
    assert_eq!(cut(0x2000, &[0; 15]), Err(WireError::Length));
    assert_eq!(cut(0x2000, &[]), Err(WireError::Length));
    assert_eq!(cut(0x0001, &[]), Err(WireError::Length));
    assert_eq!(cut(0x0001, &[0; 15]), Ok(Some((8, false))));
    // 65,512 and 3 octets and the header: 65,535.
    assert_eq!(cut(0x1ffd, &[0; 3]), Ok(Some((65_512, false))));
    assert_eq!(cut(0x1ffd, &[0; 4]), Err(WireError::Length));
}

#[test]
fn v6_next_headers_and_options() {
    // A header of 16 octets with these options, PadN for the rest, before SCTP.
    let with = |options: &[u8]| {
        let mut header = vec![SCTP, 1];
        header.extend_from_slice(options);
        header.resize(16, 0);
        header
    };
    for (next, rest, error) in [
        (0, with(&[]), None),
        (60, with(&[1, 0, 1, 3, 9, 9, 9]), None),
        (0, with(&[0, 5, 2, 0, 0]), None),        // router alert
        (60, with(&[0x1e, 1, 0, 0x3e, 0]), None), // unknown, may be skipped
        (60, with(&[0x40, 0]), Some(WireError::Discard)),
        (
            60,
            with(&[0, 0x80, 0]),
            Some(WireError::Unrecognised { pointer: 43, code: 2, even_multicast: true }),
        ),
        (0, with(&[1, 1, 0, 0xc2, 4]), problem(45, 2)),
        (60, with(&[5, 13]), Some(WireError::Length)), // past the end of the header, by one
        (60, with(&[5, 12]), None),
        (60, with(&[])[..15].to_vec(), Some(WireError::Truncated)),
        (60, vec![SCTP], Some(WireError::Truncated)),
        (43, vec![SCTP, 0, 0, 0, 1, 2, 3, 4], None),
        (43, vec![SCTP, 0, 0, 1, 1, 2, 3, 4], problem(42, 0)),
        (43, vec![SCTP, 0, 77, 1, 1, 2, 3, 4], problem(42, 0)),
        (60, vec![0, 0, 0, 0, 0, 0, 0, 0, SCTP, 0, 0, 0, 0, 0, 0, 0], problem(40, 1)),
        (60, vec![43, 0, 0, 0, 0, 0, 0, 0, SCTP, 0, 0, 1, 0, 0, 0, 0], problem(50, 0)),
        (44, vec![44, 0, 0, 0, 0, 0, 0, 0, SCTP, 0, 0, 0, 0, 0, 0, 0], problem(40, 1)),
        (44, vec![SCTP, 0, 0, 0, 0, 0, 0], Some(WireError::Truncated)),
    ] {
        assert_eq!(parse(&v6(next, &rest)).err(), error, "{next} {rest:?}");
    }
    // In what was reassembled neither may stand anywhere: not at the start, and not where an IPv6 header
    // would end.
    let mut options = vec![0, 4];
    options.resize(40, 0);
    options.extend(with(&[]));
    for (next, bytes) in [(0, with(&[])), (44, with(&[])), (60, options)] {
        assert_eq!(walk_v6_payload(next, plain(Family::V6, 44), &bytes).err(), problem(0, 1));
    }
    let mut one_too_long = with(&[]);
    one_too_long[15] = 5; // an option without a length
    assert_eq!(parse(&v6(60, &one_too_long)).err(), Some(WireError::Length));
}

#[test]
fn v6_fragments() {
    let cut = |next: u8, field: u16, part: &[u8]| {
        let mut rest = vec![next, 0];
        rest.extend(field.to_be_bytes());
        rest.extend([0, 0, 0, 1]);
        rest.extend_from_slice(part);
        parse(&v6(44, &rest)).map(|p| (p.header.protocol, p.payload.len()))
    };
    assert_eq!(cut(6, 1, &[0; 24]), Ok((6, 24)));
    assert_eq!(cut(6, 1, &[0; 23]), Err(problem(4, 0).unwrap()));
    assert_eq!(cut(6, 0x0008, &[0; 23]), Ok((6, 23)));
    assert_eq!(cut(6, 0x0008, &[]), Err(WireError::Length));
    assert_eq!(cut(6, 0xfff8, &[0; 7]), Ok((6, 7)));
    assert_eq!(cut(6, 0xfff8, &[0; 8]), Err(problem(42, 0).unwrap()));
    // Not the whole chain in the first fragment (RFC 7112); of a later one nothing is asked.
    assert_eq!(cut(6, 1, &[0; 16]), Err(problem(0, 3).unwrap()));
    assert_eq!(cut(6, 0x0009, &[0; 16]), Ok((6, 16)));
    assert_eq!(cut(60, 1, &[17, 0, 0, 0, 0, 0, 0, 0]), Err(problem(0, 3).unwrap()));
    assert_eq!(cut(60, 1, &[17, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]), Ok((60, 16)));
    assert_eq!(cut(60, 1, &[17, 1, 0, 0, 0, 0, 0, 0]), Err(problem(0, 3).unwrap()));
    assert_eq!(cut(60, 1, &[58, 0, 0, 0, 0, 0, 0, 0]), Err(problem(0, 3).unwrap()));
    // The unfragmentable part counts towards the payload length: 8, 65,520 and 8 octets.
    let mut behind_options = vec![44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0xff, 0xf0, 0, 0, 0, 1];
    behind_options.extend([0; 7]);
    assert_eq!(parse(&v6(0, &behind_options)).err(), None);
    behind_options.push(0);
    assert_eq!(parse(&v6(0, &behind_options)).err(), problem(50, 0));
    // An atomic fragment is walked to the end, and nothing follows "no next header" but in a fragment.
    assert_eq!(cut(60, 0, &[6, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Ok((6, 2)));
    assert_eq!(cut(59, 0, &[1, 2, 3]), Ok((59, 0)));
    assert_eq!(cut(59, 1, &[0; 8]), Ok((59, 8)));
    assert_eq!(parse(&v6(59, &[1, 2, 3])).map(|p| p.payload.len()), Ok(0));
}

#[test]
fn a_walk_is_bounded() {
    let chain = |n: usize| {
        let mut rest = Vec::new();
        for left in (0..n).rev() {
            rest.extend([if left == 0 { SCTP } else { 60 }, 0, 0, 0, 0, 0, 0, 0]);
        }
        parse(&v6(60, &rest)).err()
    };
    assert_eq!(chain(8), None);
    assert_eq!(chain(9), Some(WireError::Discard));
    let options = |n: usize| {
        let mut rest = vec![SCTP, 2];
        for _ in 0..n {
            rest.extend([0x1e, 0]);
        }
        rest.resize(24, 0);
        parse(&v6(60, &rest)).err()
    };
    assert_eq!(options(8), None);
    assert_eq!(options(9), Some(WireError::Discard));
}

#[test]
fn v4_mapped_addresses_do_not_pass_for_ipv4() {
    for at in [8, 24] {
        let mut packet = v6(SCTP, &[1, 2, 3]);
        packet[at..at + 12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(parse(&packet), Err(WireError::Discard));
    }
}

#[test]
fn ecn_is_the_lower_two_bits() {
    let of = |class| Header { traffic_class: class, ..plain(Family::V4, 6) }.ecn();
    assert_eq!([of(0xfc), of(0xfd), of(0xfe), of(0xff)], [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce]);
}

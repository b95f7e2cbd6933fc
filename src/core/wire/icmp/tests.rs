use etherparse::checksum::Sum16BitWords;
use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{IcmpEchoHeader, Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, PacketBuilder};
use proptest::prelude::*;

use super::*;
use crate::wire::testing::{header, octets, plain};

/// Messages that exist in both families, but for those about size.
fn message(data: &[u8]) -> impl Strategy<Value = Message<'_>> {
    (0..6u8, any::<(u16, u16)>(), 0..4u8).prop_map(move |(which, (id, sequence), code)| match which {
        0 => Message::EchoRequest { id, sequence, data },
        1 => Message::EchoReply { id, sequence, data },
        2 => Message::DestinationUnreachable { code, quoted: data },
        3 => Message::TimeExceeded { code, quoted: data },
        4 => Message::ParameterProblem { code, pointer: u32::from(id & 0xff), quoted: data },
        _ => Message::Other { kind: 200, code },
    })
}

static DATA: [u8; 37] = *b"what was in the packet, odd in length";

fn emitted(message: &Message<'_>, ip: &ip::Header) -> Vec<u8> {
    let mut out = Vec::from([0xee]);
    message.emit(ip.src, ip.dst, &mut out);
    out.split_off(1)
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(ip in header(1), message in message(&DATA)) {
        let bytes = emitted(&message, &ip);
        prop_assert_eq!(parse(&ip, &bytes, Trust::Verify), Ok(message));
    }

    #[test]
    fn etherparse_reads_what_is_emitted(ip in header(1), message in message(&DATA)) {
        let bytes = emitted(&message, &ip);
        if ip.src.is_v4() {
            let theirs = Icmpv4Slice::from_slice(&bytes).unwrap();
            prop_assert_eq!(Sum16BitWords::new().add_slice(&bytes).ones_complement(), 0);
            match (message, theirs.icmp_type()) {
                (Message::EchoRequest { id, sequence, data }, Icmpv4Type::EchoRequest(echo))
                | (Message::EchoReply { id, sequence, data }, Icmpv4Type::EchoReply(echo)) => {
                    prop_assert_eq!(echo, IcmpEchoHeader { id, seq: sequence });
                    prop_assert_eq!(theirs.payload(), data);
                }
                (Message::DestinationUnreachable { code, quoted }, Icmpv4Type::DestinationUnreachable(_))
                | (Message::TimeExceeded { code, quoted }, _) => {
                    prop_assert_eq!((theirs.code_u8(), theirs.payload()), (code, quoted));
                }
                (Message::ParameterProblem { pointer, .. }, _) => {
                    prop_assert_eq!((theirs.type_u8(), theirs.bytes5to8()), (12, [pointer as u8, 0, 0, 0]));
                }
                (Message::Other { kind, code }, Icmpv4Type::Unknown { type_u8, code_u8, .. }) => {
                    prop_assert_eq!((kind, code), (type_u8, code_u8));
                }
                (ours, theirs) => prop_assert!(false, "{:?} {:?}", ours, theirs),
            }
        } else {
            let theirs = Icmpv6Slice::from_slice(&bytes).unwrap();
            prop_assert!(theirs.is_checksum_valid(*ip.src.octets(), *ip.dst.octets()));
            match (message, theirs.icmp_type()) {
                (Message::EchoRequest { id, sequence, data }, Icmpv6Type::EchoRequest(echo))
                | (Message::EchoReply { id, sequence, data }, Icmpv6Type::EchoReply(echo)) => {
                    prop_assert_eq!(echo, IcmpEchoHeader { id, seq: sequence });
                    prop_assert_eq!(theirs.payload(), data);
                }
                (Message::DestinationUnreachable { code, quoted }, _) => {
                    prop_assert_eq!((theirs.type_u8(), theirs.code_u8(), theirs.payload()), (1, code, quoted));
                }
                (Message::TimeExceeded { code, quoted }, _) => {
                    prop_assert_eq!((theirs.type_u8(), theirs.code_u8(), theirs.payload()), (3, code, quoted));
                }
                (Message::ParameterProblem { pointer, code, .. }, _) => {
                    prop_assert_eq!((theirs.type_u8(), theirs.code_u8()), (4, code));
                    prop_assert_eq!(theirs.bytes5to8(), pointer.to_be_bytes());
                }
                (Message::Other { kind, code }, Icmpv6Type::Unknown { type_u8, code_u8, .. }) => {
                    prop_assert_eq!((kind, code), (type_u8, code_u8));
                }
                (ours, theirs) => prop_assert!(false, "{:?} {:?}", ours, theirs),
            }
        }
    }

    #[test]
    fn etherparse_writes_what_is_parsed(id: u16, seq: u16, mtu: u32, data in octets(50)) {
        let parsed = |bytes: &[u8], expected: Message<'_>| {
            let ip = ip::parse(bytes).unwrap();
            assert_eq!(parse(&ip.header, ip.payload, Trust::Verify), Ok(expected));
        };
        let mut bytes = Vec::new();
        let v4 = || PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9);
        v4().icmpv4_echo_request(id, seq).write(&mut bytes, &data).unwrap();
        parsed(&bytes, Message::EchoRequest { id, sequence: seq, data: &data });
        bytes.clear();
        let needed = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: seq };
        v4().icmpv4(Icmpv4Type::DestinationUnreachable(needed)).write(&mut bytes, &data).unwrap();
        parsed(&bytes, Message::FragmentationNeeded { mtu: seq.into(), quoted: &data });
        bytes.clear();
        let v6 = || PacketBuilder::ipv6([0x20; 16], [0xfd; 16], 9);
        v6().icmpv6_echo_reply(id, seq).write(&mut bytes, &data).unwrap();
        parsed(&bytes, Message::EchoReply { id, sequence: seq, data: &data });
        bytes.clear();
        v6().icmpv6(Icmpv6Type::PacketTooBig { mtu }).write(&mut bytes, &data).unwrap();
        parsed(&bytes, Message::PacketTooBig { mtu, quoted: &data });
    }

    #[test]
    fn no_octets_panic(ip in header(1), bytes in octets(60)) {
        _ = parse(&ip, &bytes, Trust::Verify);
        _ = parse(&ip, &bytes, Trust::Trusted);
    }

    #[test]
    fn no_bit_flips_unseen(ip in header(1), message in message(&DATA), bit in any::<prop::sample::Index>()) {
        let mut bytes = emitted(&message, &ip);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(parse(&ip, &bytes, Trust::Verify), Err(WireError::Checksum));
    }
}

#[test]
fn too_large_is_told_in_the_words_of_the_family() {
    let (v4, v6) = (plain(Family::V4, 1), plain(Family::V6, 58));
    let quoted = &DATA[..];
    for mtu in [1_280, 70_000] {
        for message in [Message::FragmentationNeeded { mtu, quoted }, Message::PacketTooBig { mtu, quoted }] {
            let bytes = emitted(&message, &v4);
            let expected = Message::FragmentationNeeded { mtu: mtu.min(65_535), quoted };
            assert_eq!(parse(&v4, &bytes, Trust::Verify), Ok(expected));
            let bytes = emitted(&message, &v6);
            assert_eq!(parse(&v6, &bytes, Trust::Verify), Ok(Message::PacketTooBig { mtu, quoted }));
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc792
//= type=test
//= id=rfc792-front-4, rfc792-front-5
#[test]
fn known_vector() {
    // RFC 792 echo request, identifier 1, sequence number 9, no data: the words sum to 080a, whose complement is f7f5.
    let message = Message::EchoRequest { id: 1, sequence: 9, data: &[] };
    assert_eq!(emitted(&message, &plain(Family::V4, 1)), [8, 0, 0xf7, 0xf5, 0, 1, 0, 9]);
}

#[test]
fn the_pointer_of_ipv4_has_eight_bits() {
    let (v4, v6) = (plain(Family::V4, 1), plain(Family::V6, 58));
    let message = Message::ParameterProblem { code: 0, pointer: 1_000, quoted: &DATA };
    let expected = Message::ParameterProblem { code: 0, pointer: 255, quoted: &DATA };
    assert_eq!(parse(&v4, &emitted(&message, &v4), Trust::Verify), Ok(expected));
    assert_eq!(parse(&v6, &emitted(&message, &v6), Trust::Verify), Ok(message));
}

#[test]
fn lengths() {
    let (v4, v6) = (plain(Family::V4, 1), plain(Family::V6, 58));
    assert_eq!(parse(&v4, &[8, 0, 0], Trust::Trusted), Err(WireError::Truncated));
    for kind in [0, 3, 8, 11, 12] {
        assert_eq!(parse(&v4, &[kind, 0, 0, 0, 1, 2, 3], Trust::Trusted), Err(WireError::Truncated));
    }
    for kind in [1, 2, 3, 4, 128, 129] {
        assert_eq!(parse(&v6, &[kind, 0, 0, 0, 1, 2, 3], Trust::Trusted), Err(WireError::Truncated));
    }
    // Types of the other family and of nobody.
    assert_eq!(parse(&v6, &[8, 5, 0, 0], Trust::Trusted), Ok(Message::Other { kind: 8, code: 5 }));
    assert_eq!(parse(&v4, &[128; 9], Trust::Trusted), Ok(Message::Other { kind: 128, code: 128 }));
    let error = Message::UnknownError { kind: 99, code: 2, quoted: &DATA };
    assert_eq!(parse(&v6, &emitted(&error, &v6), Trust::Verify), Ok(error));
    assert_eq!(parse(&v4, &emitted(&error, &v4), Trust::Verify), Ok(Message::Other { kind: 99, code: 2 }));
    // The pseudo-header counts in IPv6 alone.
    let echo = Message::EchoReply { id: 1, sequence: 2, data: &[] };
    assert_eq!(parse(&v6, &emitted(&echo, &v4), Trust::Verify), Err(WireError::Checksum));
}

use bytes::Bytes;
use proptest::prelude::*;
use tunstack_core::packet::Lent;
use tunstack_core::wire::ip::{self, protocol};
use tunstack_core::wire::{tcp, udp};

use super::*;

/// What a packet is to be made of.
#[derive(Clone, Debug)]
struct Made {
    v4: bool,
    udp: bool,
    /// Octets of TCP options, in words, or 8 octets each of IPv6 destination options.
    words: usize,
    extensions: u8,
    flags: u8,
    seq: u32,
    id: u16,
    text: Vec<u8>,
    /// Where the text is cut into the pieces that the body is given in.
    cuts: [usize; 3],
    gso_size: u16,
    partial: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let text = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (1usize..60_000, any::<u8>()).prop_map(|(len, o)| (0..len).map(|i| (i as u8) ^ o).collect()),
    ];
    let kind = (any::<bool>(), any::<bool>(), 0usize..=10, 0u8..3, any::<u8>());
    let rest = (any::<u32>(), any::<u16>(), text, any::<[u16; 3]>(), 1u16..3000, any::<bool>());
    (kind, rest).prop_map(
        |((v4, udp, words, extensions, flags), (seq, id, text, cuts, gso_size, partial))| {
            let mut cuts = cuts.map(|c| usize::from(c) % (text.len() + 1));
            cuts.sort_unstable();
            // So that even the longest text is cut into some thousands of packets at the most.
            let gso_size = gso_size.max((text.len() / 2000) as u16);
            Made { v4, udp, words, extensions, flags, seq, id, text, cuts, gso_size, partial }
        },
    )
}

impl Made {
    /// IP and transport header, with the sum of the pseudo-header or a wrong one in the checksum's place.
    fn head(&self) -> (Vec<u8>, u16) {
        let own = if self.udp { 8 } else { 20 + 4 * self.words };
        let number = if self.udp { protocol::UDP } else { protocol::TCP };
        let mut head = Vec::new();
        if self.v4 {
            let header = header(true, number);
            header.emit(own + self.text.len(), self.id, &mut head).unwrap();
        } else {
            let extensions = usize::from(self.extensions) * 8;
            let first = if self.extensions == 0 { number } else { 60 };
            header(false, first).emit(extensions + own + self.text.len(), 0, &mut head).unwrap();
            for n in 1..=self.extensions {
                let next = if n == self.extensions { number } else { 60 };
                // One option of padding over four octets.
                head.extend_from_slice(&[next, 0, 1, 4, 0, 0, 0, 0]);
            }
        }
        let start = head.len();
        head.extend_from_slice(&[0x12, 0x34, 0, 80]);
        if self.udp {
            head.extend_from_slice(&((8 + self.text.len()) as u16).to_be_bytes());
            head.extend_from_slice(&[0xab, 0xcd]);
        } else {
            head.extend_from_slice(&self.seq.to_be_bytes());
            head.extend_from_slice(&[
                1,
                2,
                3,
                4,
                ((5 + self.words) << 4) as u8,
                self.flags,
                5,
                6,
                0xab,
                0xcd,
                0,
                0,
            ]);
            head.extend(std::iter::repeat_n(1, 4 * self.words));
        }
        let read = Head::read(&head).unwrap();
        if self.partial {
            let sum = read.pseudo_header(&head, own + self.text.len()).partial();
            put(&mut head, start + read.checksum_offset(), sum.into());
        }
        (head, start as u16)
    }

    fn checksum(&self, start: u16) -> Checksum {
        let offset = if self.udp { 6 } else { 16 };
        if self.partial { Checksum::Partial { start, offset } } else { Checksum::Complete }
    }

    fn body(&self) -> Body<'_> {
        let [a, b, c] = self.cuts;
        let mut body = Body::EMPTY;
        let pieces = [&self.text[..a], &self.text[a..b], &self.text[b..c], &self.text[c..]];
        assert!(pieces.iter().all(|piece| body.push(piece)));
        body
    }
}

fn header(v4: bool, protocol: u8) -> ip::Header {
    let address = |last| {
        if v4 {
            tunstack_core::addr::Address::from_v4_octets([10, 7, 0, last])
        } else {
            tunstack_core::addr::Address::from_octets([0xfd, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
        }
    };
    ip::Header {
        src: address(2),
        dst: address(1),
        protocol,
        hop_limit: 64,
        traffic_class: 2,
        flow_label: if v4 { 0 } else { 0x12345 },
        dont_fragment: true,
        fragment: None,
    }
}

fn whole(datagram: &Datagram<'_>) -> Vec<u8> {
    let mut packet = vec![0; datagram.len()];
    assert_eq!(datagram.copy_to(&mut packet), Some(packet.len()));
    packet
}

/// The packets of `datagram`.
fn packets(datagram: &Datagram<'_>) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    cut(datagram, |piece| {
        assert_eq!((piece.gso_size, piece.checksum), (0, Checksum::Complete));
        packets.push(whole(piece));
        Ok(())
    })
    .unwrap();
    packets
}

/// Reads the packets as any receiver does, checksums included, and joins what they carry again.
fn joined(made: &Made, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        let last = n + 1 == packets.len();
        let parsed = ip::parse(packet).unwrap();
        assert_eq!(parsed.packet.len(), packet.len(), "the IP header knows its length");
        if made.v4 {
            assert_eq!(packet[4..6], made.id.wrapping_add(n as u16).to_be_bytes());
        } else {
            assert_eq!(parsed.header.flow_label, 0x12345);
        }
        assert_eq!((parsed.header.hop_limit, parsed.header.traffic_class), (64, 2));
        let (ports, carried) = if made.udp {
            let (header, text) = udp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
            ((header.src_port, header.dst_port), text)
        } else {
            let packet = tcp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
            let header = packet.header;
            assert_eq!(header.seq.get(), made.seq.wrapping_add(text.len() as u32));
            let all = Flags::from_bits_truncate(made.flags.into());
            let mut wanted = all;
            if !last {
                wanted -= Flags::PSH | Flags::FIN;
            }
            if n != 0 {
                wanted -= Flags::CWR;
            }
            assert_eq!(header.flags, wanted);
            assert_eq!((header.ack.get(), header.window, header.urgent), (0x0102_0304, 0x0506, 0));
            ((header.src_port, header.dst_port), packet.payload)
        };
        assert_eq!(ports, (0x1234, 80));
        assert!(carried.len() <= usize::from(made.gso_size));
        assert!(last || carried.len() == usize::from(made.gso_size), "all but the last are full");
        text.extend_from_slice(carried);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cut_and_joined_it_is_the_original(made in made()) {
        let (head, start) = made.head();
        let checksum = made.checksum(start);
        let datagram = Datagram { head: &head, body: made.body(), gso_size: made.gso_size, checksum, event: None };
        if made.text.len() > usize::from(made.gso_size) || made.partial {
            let packets = packets(&datagram);
            prop_assert_eq!(packets.len(), made.text.len().div_ceil(made.gso_size.into()).max(1));
            prop_assert_eq!(joined(&made, &packets), made.text);
        }
    }

    #[test]
    fn a_joined_arrival_is_taken_apart_in_the_same_way(made in made()) {
        let (head, start) = made.head();
        let checksum = made.checksum(start);
        let datagram = Datagram { head: &head, body: made.body(), gso_size: made.gso_size, checksum, event: None };
        let mut packet = whole(&datagram);
        let inbound = |packet| Inbound { trust: Trust::Trusted, gso_size: made.gso_size, ..Inbound::plain(packet) };
        let mut apart = Vec::new();
        // Behind the packet may be more, which is not a part of it.
        packet.push(0xee);
        take_apart(&inbound(&packet), |piece| apart.push(whole(piece)));
        prop_assert_eq!(joined(&made, &apart), made.text.clone());
        // Nor does it matter where it lies.
        let cut = packet.len() - made.text.len() - 1 + made.cuts[0];
        let lent = [&packet[cut..], b"more"].map(|text| Lent::from(Bytes::copy_from_slice(text)));
        let mut parts = Vec::new();
        take_apart(&Inbound { lent: &lent, ..inbound(&packet[..cut]) }, |piece| parts.push(whole(piece)));
        prop_assert_eq!(&parts, &apart);
        if made.text.len() > usize::from(made.gso_size) {
            prop_assert_eq!(apart, packets(&datagram));
        }
    }

    #[test]
    fn no_octets_are_too_strange(
        octets in proptest::collection::vec(any::<u8>(), 0..120),
        version in prop_oneof![Just(0x45u8), Just(0x60), Just(0x4f), any::<u8>()],
        next in prop_oneof![Just(6u8), Just(17), Just(0), Just(60), any::<u8>()],
        gso_size in 0u16..50,
        split in 0usize..120,
        places in (0u16..150, 0u16..150),
    ) {
        let mut octets = octets;
        if octets.len() > 9 {
            octets[0] = version;
            octets[if version >> 4 == 4 { 9 } else { 6 }] = next;
        }
        for trust in [Trust::Verify, Trust::Trusted] {
            take_apart(&Inbound { trust, gso_size, ..Inbound::plain(&octets) }, |_| {});
        }
        let (head, text) = octets.split_at(split.min(octets.len()));
        for checksum in [Checksum::Complete, Checksum::Partial { start: places.0, offset: places.1 }] {
            let datagram = Datagram { head, body: Body::from_slice(text), gso_size, checksum, event: None };
            let _ = cut(&datagram, |_| Ok(()));
        }
    }
}

fn example(udp: bool) -> Made {
    Made {
        v4: true,
        udp,
        words: 3,
        extensions: 0,
        flags: 0x99,
        seq: u32::MAX - 5,
        id: u16::MAX,
        text: (0..35).collect(),
        cuts: [3, 11, 30],
        gso_size: 10,
        partial: true,
    }
}

#[test]
fn nothing_to_do_is_nothing_done() {
    let made = Made { partial: false, ..example(false) };
    let (head, _) = made.head();
    let datagram =
        Datagram { head: &head, body: made.body(), gso_size: 0, checksum: Checksum::Complete, event: None };
    assert_eq!(packets(&datagram), [whole(&datagram)]);
    // What nobody vouches for is not touched: its wrong sum is for the stack to find.
    let packet = whole(&datagram);
    let mut apart = Vec::new();
    take_apart(&Inbound::plain(&packet), |piece| apart.push(whole(piece)));
    assert_eq!(apart, [packet]);
}

#[test]
fn a_wrong_sum_does_not_become_right() {
    let made = example(false);
    let (head, start) = made.head();
    let large =
        Datagram { head: &head, body: made.body(), gso_size: 0, checksum: made.checksum(start), event: None };
    let [mut packet] = <[_; 1]>::try_from(packets(&large)).unwrap();
    let apart = |packet: &[u8], trust| {
        let mut apart = Vec::new();
        let inbound = Inbound { trust, gso_size: 10, ..Inbound::plain(packet) };
        take_apart(&inbound, |piece| apart.push(whole(piece)));
        apart
    };
    assert_eq!(joined(&made, &apart(&packet, Trust::Verify)), made.text);
    packet[60] ^= 1;
    assert_eq!(apart(&packet, Trust::Verify), [packet.clone()]);
    // Whom the device vouches for may have any sum in its place.
    assert_eq!(apart(&packet, Trust::Trusted).len(), 4);
}

#[test]
fn datagrams_without_a_checksum_stay_so() {
    let made = Made { partial: false, ..example(true) };
    let (mut head, _) = made.head();
    head[26..28].fill(0);
    let datagram =
        Datagram { head: &head, body: made.body(), gso_size: 10, checksum: Checksum::Complete, event: None };
    let cut = packets(&datagram);
    assert_eq!(cut.len(), 4);
    assert!(cut.iter().all(|packet| packet[26..28] == [0, 0]));
    let packet = whole(&datagram);
    let mut apart = Vec::new();
    take_apart(&Inbound { trust: Trust::Trusted, ..Inbound::plain(&packet) }, |piece| {
        apart.push(whole(piece))
    });
    assert_eq!(apart, [packet]);
}

#[test]
fn a_sum_of_zero_is_no_missing_checksum() {
    // The text is chosen so that the sum of the whole is 0xffff, and its complement 0.
    let mut made = Made { text: vec![0; 2], cuts: [0; 3], ..example(true) };
    let sum = |made: &Made| {
        let (head, start) = made.head();
        Sum::new().add(&head[start.into()..]).add(&made.text).finish()
    };
    made.text = sum(&made).to_be_bytes().to_vec();
    assert_eq!(sum(&made), 0);
    let (head, start) = made.head();
    let checksum = made.checksum(start);
    let datagram = Datagram { head: &head, body: made.body(), gso_size: 0, checksum, event: None };
    assert_eq!(packets(&datagram)[0][26..28], [0xff, 0xff]);
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let made = example(false);
    let (mut head, start) = made.head();
    let checksum = made.checksum(start);
    let refused = |head: &[u8], checksum| {
        let datagram = Datagram { head, body: made.body(), gso_size: 10, checksum, event: None };
        let mut count = 0;
        let done = cut(&datagram, |_| {
            count += 1;
            Ok(())
        });
        (done.map_err(|e| e.kind()), count)
    };
    let no = (Err(io::ErrorKind::InvalidInput), 0);
    assert_eq!(refused(&head, checksum), (Ok(()), 4));
    assert_eq!(refused(&head[..40], checksum), no);
    // A part of the text in the head would be in each piece.
    assert_eq!(refused(&[&head[..], b"text"].concat(), checksum), no);
    head[6] |= 0x20;
    assert_eq!(refused(&head, checksum), no, "a fragment");
    let short = Datagram {
        head: &head[..30],
        body: Body::EMPTY,
        gso_size: 0,
        checksum: Checksum::Partial { start: 20, offset: 16 },
        event: None,
    };
    assert_eq!(cut(&short, |_| Ok(())).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_first_refusal_ends_it() {
    let made = example(false);
    let (head, start) = made.head();
    let checksum = made.checksum(start);
    let datagram = Datagram { head: &head, body: made.body(), gso_size: 10, checksum, event: None };
    let mut count = 0;
    let done = cut(&datagram, |_| {
        count += 1;
        if count == 2 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    assert_eq!((done.unwrap_err().kind(), count), (io::ErrorKind::StorageFull, 2));
}

use tunstack_core::packet::Body;

use super::*;

/// IP and TCP or UDP headers without options, CWR set.
fn head(v4: bool, udp: bool) -> Vec<u8> {
    let number = if udp { 17 } else { 6 };
    let mut head = if v4 {
        let mut ip = vec![0x45, 0, 0xff, 0xff, 0, 0, 0x40, 0, 64, number];
        ip.resize(20, 0);
        ip
    } else {
        let mut ip = vec![0x60, 0, 0, 0, 0xff, 0xff, number, 64];
        ip.resize(40, 0);
        ip
    };
    head.extend_from_slice(if udp {
        &[0; 8]
    } else {
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x90, 0, 0, 0, 0, 0, 0]
    });
    head
}

fn datagram<'a>(head: &'a [u8], text: &'a [u8], gso_size: u16, checksum: Checksum) -> Datagram<'a> {
    Datagram { head, body: Body::from_slice(text), gso_size, checksum, event: None }
}

#[test]
fn a_packet_with_nothing_left_to_do() {
    let head = head(true, false);
    assert_eq!(encode(&datagram(&head, b"x", 0, Checksum::Complete), true), Some([0; LEN]));
    // Text that is not longer than a piece is no large segment.
    assert_eq!(encode(&datagram(&head, b"x", 1, Checksum::Complete), true), Some([0; LEN]));
}

#[test]
fn a_partial_checksum() {
    let head = head(true, false);
    let partial = Checksum::Partial { start: 20, offset: 16 };
    let wanted = [1, 0, 0, 0, 0, 0, 20, 0, 16, 0];
    assert_eq!(encode(&datagram(&head, b"text", 0, partial), true), Some(wanted));
    // Whatever it is of: no header is read where nothing is cut.
    let strange = Checksum::Partial { start: 0x1234, offset: 2 };
    let wanted = [1, 0, 0, 0, 0, 0, 0x34, 0x12, 2, 0];
    assert_eq!(encode(&datagram(&[0], b"", 0, strange), true), Some(wanted));
}

#[test]
fn large_segments_by_family_and_protocol() {
    // Family, protocol, and what the kernel calls it; CWR shows with TCP alone.
    for (v4, udp, gso_type) in [(true, false, 0x81), (false, false, 0x84), (true, true, 5), (false, true, 5)]
    {
        let head = head(v4, udp);
        let (start, offset) = (if v4 { 20 } else { 40 }, if udp { 6 } else { 16 });
        let partial = Checksum::Partial { start, offset };
        let text = [7; 3000];
        let wanted = [1, gso_type, head.len() as u8, 0, 0x78, 0x05, start as u8, 0, offset as u8, 0];
        assert_eq!(encode(&datagram(&head, &text, 1400, partial), true), Some(wanted));
        assert_eq!(encode(&datagram(&head, &text, 1400, partial), false).is_none(), udp);
    }
    let mut no_cwr = head(true, false);
    no_cwr[33] = 0x10;
    let partial = Checksum::Partial { start: 20, offset: 16 };
    assert_eq!(encode(&datagram(&no_cwr, &[0; 9], 4, partial), true).unwrap()[1], 1);
}

#[test]
fn what_the_kernel_cannot_cut() {
    let (tcp, text) = (head(true, false), [0; 9]);
    let partial = Checksum::Partial { start: 20, offset: 16 };
    assert!(encode(&datagram(&tcp, &text, 4, partial), true).is_some());
    assert_eq!(encode(&datagram(&tcp, &text, 4, Checksum::Complete), true), None);
    assert_eq!(encode(&datagram(&tcp, &text, 4, Checksum::Partial { start: 20, offset: 6 }), true), None);
    assert_eq!(encode(&datagram(&tcp, &text, 4, Checksum::Partial { start: 24, offset: 16 }), true), None);
    assert_eq!(encode(&datagram(&tcp[..39], &text, 4, partial), true), None);
    assert_eq!(encode(&datagram(&[&tcp[..], &[0]].concat(), &text, 4, partial), true), None);
    let icmp = [&tcp[..9], &[1], &tcp[10..]].concat();
    assert_eq!(encode(&datagram(&icmp, &text, 4, partial), true), None);
}

#[test]
fn arrivals() {
    let read = |flags, gso_type, size: u16| {
        let [low, high] = size.to_le_bytes();
        // The length of the headers and the place of the checksum say what they like.
        decode(&[flags, gso_type, 0xff, 0xff, low, high, 0xff, 0xff, 0xff, 0xff])
    };
    let arrived = |trust, gso_size| Ok(Arrived { trust, gso_size });
    assert_eq!(read(0, 0, 0), Ok(Arrived::PLAIN));
    assert_eq!(read(1, 0, 0), arrived(Trust::Trusted, 0));
    assert_eq!(read(2, 0, 0), arrived(Trust::Trusted, 0));
    assert_eq!(read(0xfc, 0, 0), arrived(Trust::Verify, 0));
    // A size without anything joined means nothing.
    assert_eq!(read(1, 0, 1400), arrived(Trust::Trusted, 0));
    for gso_type in [1, 4, 5, 0x81, 0x84] {
        assert_eq!(read(1, gso_type, 1400), arrived(Trust::Trusted, 1400));
        assert_eq!(read(0, gso_type, 0x0102), arrived(Trust::Verify, 0x0102));
        assert_eq!(read(1, gso_type, 0), Err(Unknown { gso_type }), "joined of nothing");
    }
    // 3 joins fragments of UDP, 0x20 and 0x40 tunnels: none was asked for.
    for gso_type in [2, 3, 6, 0x21, 0x41, 0x7f, 0x80, 0x83] {
        assert_eq!(read(1, gso_type, 1400), Err(Unknown { gso_type }));
    }
}

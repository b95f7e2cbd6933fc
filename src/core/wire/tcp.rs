//! The TCP header (RFC 9293 §3.1): parse and emit.

use alloc::vec::Vec;

use etherparse::{TcpHeaderSlice, err};

use super::WireError;
use super::checksum::{Checksum, Sum, Trust, pseudo_header};
use super::flags::Flags;
use super::ip::{self, protocol};
use super::options::{Options, TIMESTAMPS_LEN};
use crate::addr::Address;
use crate::seq::Seq;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Where the checksum stands in the header.
pub const CHECKSUM_OFFSET: u16 = 16;
/// Where the flags do, all but the first of them.
pub const FLAGS_OFFSET: usize = 13;
/// Where the sequence number does.
pub const SEQUENCE_OFFSET: usize = 4;

/// The fixed part of a TCP header, in host order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgment number; without [`Flags::ACK`] it says nothing.
    pub ack: Seq,
    /// Control bits.
    pub flags: Flags,
    /// Window field, unscaled.
    pub window: u16,
    /// Urgent pointer; without [`Flags::URG`] it says nothing.
    pub urgent: u16,
}

/// A TCP segment as it stands in a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// The options.
    pub options: Options,
    /// The text.
    pub payload: &'a [u8],
}

/// Takes a segment apart. `bytes` is the whole payload of the packet whose IP header is `ip`.
///
/// # Errors
///
/// [`WireError::Truncated`] where it is shorter than its header, [`WireError::Length`] where the data offset
/// is below 5, [`WireError::Checksum`] unless `trust` says not to look.
#[inline]
pub fn parse<'a>(ip: &ip::Header, bytes: &'a [u8], trust: Trust) -> Result<Packet<'a>, WireError> {
    let slice = TcpHeaderSlice::from_slice(bytes).map_err(|e| match e {
        err::tcp::HeaderSliceError::Len(_) => WireError::Truncated,
        err::tcp::HeaderSliceError::Content(_) => WireError::Length,
    })?;
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //# the receiver MUST check it (MUST-3)
    if trust == Trust::Verify {
        let len = u32::try_from(bytes.len()).map_err(|_| WireError::Length)?;
        if pseudo_header(ip.src, ip.dst, protocol::TCP, len).add(bytes).finish() != 0 {
            return Err(WireError::Checksum);
        }
    }
    let (fixed, payload) = bytes.split_at_checked(slice.slice().len()).ok_or(WireError::Truncated)?;
    // Data offset, reserved bits and control bits; only nine of these are known.
    let &[_, _, _, _, _, _, _, _, _, _, _, _, f0, f1, ..] = fixed else { return Err(WireError::Truncated) };
    let header = Header {
        src_port: slice.source_port(),
        dst_port: slice.destination_port(),
        seq: Seq::new(slice.sequence_number()),
        ack: Seq::new(slice.acknowledgment_number()),
        flags: Flags::from_bits_truncate(u16::from_be_bytes([f0, f1])),
        window: slice.window_size(),
        urgent: slice.urgent_pointer(),
    };
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= id=MUST-5
    //# A TCP implementation MUST be able to receive a TCP Option in any segment (MUST-5).
    Ok(Packet { header, options: Options::parse(slice.options()), payload })
}

/// Writes IP header, TCP header and options into `out`, which is cleared first, for a text of `body_len`
/// octets in the pieces of `body`. The text itself is not copied; it is read once for the checksum, or not at
/// all when `partial` leaves the checksum to the device. `id` is the IPv4 identification.
///
/// Where no such packet can exist, because it would exceed the IP length field or its ends are of different
/// families, `out` is left empty and nothing may be sent.
#[expect(clippy::too_many_arguments, reason = "one call builds a whole packet without an intermediate value")]
pub fn emit<'a>(
    ip: &ip::Header,
    tcp: &Header,
    options: &Options,
    body: impl Iterator<Item = &'a [u8]>,
    body_len: usize,
    id: u16,
    partial: bool,
    out: &mut Vec<u8>,
) -> Checksum {
    out.clear();
    let stamps = options.only_timestamps();
    let header_len = HEADER_LEN + if stamps.is_some() { TIMESTAMPS_LEN } else { options.emitted_len() };
    let len = header_len.saturating_add(body_len);
    if ip.emit(len, id, out).is_err() {
        return Checksum::Complete;
    }
    let start = out.len();
    out.reserve(header_len);
    let pseudo = pseudo_header(ip.src, ip.dst, protocol::TCP, len as u32);

    let ([a, b], [c, d]) = (tcp.src_port.to_be_bytes(), tcp.dst_port.to_be_bytes());
    let ([e, f, g, h], [i, j, k, l]) = (tcp.seq.get().to_be_bytes(), tcp.ack.get().to_be_bytes());
    // The data offset counts words and stands in the upper four bits.
    let [m, n] = (((header_len / 4) as u16) << 12 | tcp.flags.bits()).to_be_bytes();
    let ([o, p], [q, r]) = (tcp.window.to_be_bytes(), tcp.urgent.to_be_bytes());
    let fixed = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, 0, 0, q, r];
    if let Some(stamps) = stamps {
        // Nearly every one: in one piece.
        let mut head = [0; HEADER_LEN + TIMESTAMPS_LEN];
        let (before, behind) = head.split_at_mut(HEADER_LEN);
        before.copy_from_slice(&fixed);
        behind.copy_from_slice(&stamps.emitted());
        out.extend_from_slice(&head);
    } else {
        out.extend_from_slice(&fixed);
        options.emit(out);
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= id=MUST-2
    //# The sender MUST generate it (MUST-2)
    let (field, checksum) = if partial {
        (pseudo.partial(), Checksum::Partial { start: start as u16, offset: CHECKSUM_OFFSET })
    } else {
        let head = pseudo.add(out.get(start..).unwrap_or_default());
        (body.fold(head, |sum, piece| sum.add(piece)).finish(), Checksum::Complete)
    };
    put_checksum(out.get_mut(start..).unwrap_or_default(), field);
    checksum
}

/// Makes the head in `head`, which [`emit`] wrote for another segment, that of one with the sequence number `seq`, with PSH set if
/// it `pushes`: the same in all else, in the length of the text too, and in who completes the checksum. Where that is nobody,
/// it is [summed anew](sum_anew) then; else the sum of the pseudo-header stands there, which is the same.
#[inline(always)]
pub fn follow(head: &mut [u8], (seq, pushes): (Seq, bool)) {
    let Some(tcp) = behind_ip(head) else { return };
    if let Some(place) = tcp.get_mut(SEQUENCE_OFFSET..).and_then(|rest| rest.first_chunk_mut()) {
        *place = seq.get().to_be_bytes();
    }
    if let Some(flags) = tcp.get_mut(FLAGS_OFFSET).filter(|_| pushes) {
        *flags |= Flags::PSH.bits() as u8;
    }
}

/// The checksum of the segment from `src` to `dst` with this head and the text in the pieces of `body`.
pub fn sum_anew<'a>(head: &mut [u8], (src, dst): (Address, Address), body: impl Iterator<Item = &'a [u8]>) {
    let Some(tcp) = behind_ip(head) else { return };
    put_checksum(tcp, 0);
    let mut len = tcp.len();
    let text = body.fold(Sum::new().add(tcp), |sum, piece| {
        len = len.saturating_add(piece.len());
        sum.add(piece)
    });
    put_checksum(tcp, text.with(pseudo_header(src, dst, protocol::TCP, len as u32)).finish());
}

/// What follows the IP header of a head that was emitted.
#[inline]
fn behind_ip(head: &mut [u8]) -> Option<&mut [u8]> {
    let v4 = head.first()? >> 4 == 4;
    head.get_mut(if v4 { ip::V4_HEADER_LEN } else { ip::V6_HEADER_LEN }..)
}

fn put_checksum(tcp: &mut [u8], field: u16) {
    if let Some(place) = tcp.get_mut(usize::from(CHECKSUM_OFFSET)..).and_then(|rest| rest.first_chunk_mut()) {
        *place = field.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Family;
    use crate::seq::SeqRange;
    use crate::wire::options::{SackBlocks, Timestamps};
    use crate::wire::testing::{header, octets, plain};
    use alloc::vec;
    use core::iter;
    use etherparse::{IpHeaders, IpSlice, Ipv4Header, Ipv6Header, PacketBuilder, TcpSlice};
    use proptest::prelude::*;

    const WRITTEN: &[&[u8]] = &[&[], &[2, 4, 5, 0xb4], &[99, 3, 7, 1, 3, 3, 5, 0]];

    fn tcp() -> impl Strategy<Value = Header> {
        any::<(u16, u16, u32, u32, u16, u16, u16)>().prop_map(
            |(src_port, dst_port, seq, ack, bits, window, urgent)| {
                let (seq, ack) = (Seq::new(seq), Seq::new(ack));
                Header {
                    src_port,
                    dst_port,
                    seq,
                    ack,
                    flags: Flags::from_bits_truncate(bits),
                    window,
                    urgent,
                }
            },
        )
    }

    fn options() -> impl Strategy<Value = Options> {
        let stamps = proptest::option::of(any::<(u32, u32)>());
        (any::<(Option<u16>, Option<u8>, bool)>(), stamps, 0..3u32).prop_map(|(syn, stamps, blocks)| {
            Options {
                mss: syn.0,
                window_scale: syn.1,
                sack_permitted: syn.2,
                timestamps: stamps.map(|(value, echo)| Timestamps { value, echo }),
                sack: SackBlocks::from_iter((0..blocks).map(|n| SeqRange::with_len(Seq::new(n * 100), 50))),
                ..Default::default()
            }
        })
    }

    /// A whole packet of ours, with its checksum as `partial` says.
    fn packet(
        ip: &ip::Header,
        tcp: &Header,
        options: &Options,
        pieces: &[Vec<u8>],
        partial: bool,
    ) -> (Vec<u8>, Checksum) {
        let mut out = vec![0xee; 7];
        let len = pieces.iter().map(Vec::len).sum();
        let checksum = emit(ip, tcp, options, pieces.iter().map(Vec::as_slice), len, 5, partial, &mut out);
        out.extend(pieces.iter().flatten());
        (out, checksum)
    }

    proptest! {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
        //= type=test
        //= id=MUST-5
        #[test]
        fn what_is_emitted_is_parsed(
            ip in header(protocol::TCP), tcp in tcp(), options in options(),
            pieces in proptest::collection::vec(octets(40), 0..4)
        ) {
            let (bytes, checksum) = packet(&ip, &tcp, &options, &pieces, false);
            prop_assert_eq!(checksum, Checksum::Complete);
            let parsed = ip::parse(&bytes).unwrap();
            prop_assert_eq!(parsed.header, ip);
            let segment = parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
            prop_assert_eq!(segment.header, tcp);
            let mut expected = options.clone();
            expected.sack.truncate(options.max_sack_blocks());
            prop_assert_eq!(segment.options, expected);
            prop_assert_eq!(segment.payload, pieces.concat());
        }

        #[test]
        fn what_follows_is_as_if_it_had_been_emitted(
            ip in header(protocol::TCP), tcp in tcp(), options in options(), partial: bool, seq: u32, pushes: bool,
            texts in prop::array::uniform2(proptest::collection::vec(any::<u8>(), 77))
        ) {
            let [first, second] = texts.map(|text| vec![text[..30].to_vec(), text[30..].to_vec()]);
            let (mut bytes, checksum) = packet(&ip, &tcp, &options, &first, partial);
            let seq = Seq::new(seq);
            let head = bytes.len() - 77;
            bytes.truncate(head);
            follow(&mut bytes, (seq, pushes));
            if checksum == Checksum::Complete {
                sum_anew(&mut bytes, (ip.src, ip.dst), second.iter().map(Vec::as_slice));
            }
            bytes.extend(second.concat());
            let flags = if pushes { tcp.flags | Flags::PSH } else { tcp.flags };
            let header = Header { seq, flags, ..tcp };
            prop_assert_eq!(bytes, packet(&ip, &header, &options, &second, partial).0);
        }

        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
        //= type=test
        //= id=MUST-2
        #[test]
        fn etherparse_reads_what_is_emitted(
            ip in header(protocol::TCP), tcp in tcp(), options in options(),
            pieces in proptest::collection::vec(octets(40), 0..4)
        ) {
            let (bytes, _) = packet(&ip, &tcp, &options, &pieces, false);
            let theirs = IpSlice::from_slice(&bytes).unwrap();
            let segment = TcpSlice::from_slice(theirs.payload().payload).unwrap();
            let sum = match &theirs {
                IpSlice::Ipv4(_) => segment.calc_checksum_ipv4(ip.src.v4_octets(), ip.dst.v4_octets()),
                IpSlice::Ipv6(_) => segment.calc_checksum_ipv6(*ip.src.octets(), *ip.dst.octets()),
            };
            prop_assert_eq!(segment.checksum(), sum.unwrap());
            prop_assert_eq!((segment.source_port(), segment.destination_port()), (tcp.src_port, tcp.dst_port));
            prop_assert_eq!(segment.sequence_number(), tcp.seq.get());
            prop_assert_eq!(segment.acknowledgment_number(), tcp.ack.get());
            prop_assert_eq!((segment.window_size(), segment.urgent_pointer()), (tcp.window, tcp.urgent));
            for (theirs, flag) in [
                (segment.fin(), Flags::FIN), (segment.syn(), Flags::SYN), (segment.rst(), Flags::RST),
                (segment.psh(), Flags::PSH), (segment.ack(), Flags::ACK), (segment.urg(), Flags::URG),
                (segment.ece(), Flags::ECE), (segment.cwr(), Flags::CWR), (segment.ns(), Flags::AE),
            ] {
                prop_assert_eq!(theirs, tcp.flags.contains(flag), "{:?}", flag);
            }
            let mut ours = Vec::new();
            options.emit(&mut ours);
            prop_assert_eq!(segment.options(), ours);
            prop_assert_eq!(segment.payload(), pieces.concat());
        }

        #[test]
        fn etherparse_writes_what_is_parsed(
            v4: bool, seq: u32, ack: u32, window: u16, up: u16, text in octets(60),
            options in prop::sample::select(WRITTEN)
        ) {
            let ip = if v4 {
                IpHeaders::Ipv4(Ipv4Header { source: [10, 0, 0, 1], ..Default::default() }, Default::default())
            } else {
                IpHeaders::Ipv6(Ipv6Header { source: [9; 16], ..Default::default() }, Default::default())
            };
            let mut bytes = Vec::new();
            let builder = PacketBuilder::ip(ip).tcp(1, 2, seq, window).ack(ack).ns().psh().urg(up);
            builder.options_raw(options).unwrap().write(&mut bytes, &text).unwrap();
            let parsed = ip::parse(&bytes).unwrap();
            let segment = parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
            let flags = Flags::ACK | Flags::AE | Flags::PSH | Flags::URG;
            let (seq, ack) = (Seq::new(seq), Seq::new(ack));
            prop_assert_eq!(segment.header, Header { src_port: 1, dst_port: 2, seq, ack, flags, window, urgent: up });
            prop_assert_eq!(segment.options, Options::parse(options));
            prop_assert_eq!(segment.payload, text);
        }

        #[test]
        fn a_device_completes_a_partial_checksum(
            ip in header(protocol::TCP), tcp in tcp(), options in options(),
            pieces in proptest::collection::vec(octets(40), 0..4)
        ) {
            let (whole, _) = packet(&ip, &tcp, &options, &pieces, false);
            let (mut bytes, checksum) = packet(&ip, &tcp, &options, &pieces, true);
            let Checksum::Partial { start, offset } = checksum else { panic!("{checksum:?}") };
            let (start, at) = (usize::from(start), usize::from(start + offset));
            prop_assert_eq!(start, ip.emitted_len());
            prop_assert_eq!(offset, 16);
            let sum = Sum::new().add(&bytes[start..]).finish();
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
            prop_assert_eq!(bytes, whole);
        }

        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
        //= type=test
        //= id=MUST-3
        #[test]
        fn no_bit_flips_unseen(ip in header(protocol::TCP), tcp in tcp(), text in octets(20), bit in any::<prop::sample::Index>()) {
            let (mut bytes, _) = packet(&ip, &tcp, &Options::default(), &[text], false);
            let start = ip.emitted_len();
            let bit = bit.index((bytes.len() - start) * 8);
            bytes[start + bit / 8] ^= 1 << (bit % 8);
            prop_assert!(parse(&ip, &bytes[start..], Trust::Verify).is_err());
        }

        #[test]
        fn no_octets_panic(ip in header(protocol::TCP), bytes in octets(90)) {
            _ = parse(&ip, &bytes, Trust::Verify);
            if let Ok(segment) = parse(&ip, &bytes, Trust::Trusted) {
                prop_assert!(bytes.ends_with(segment.payload));
            }
        }
    }

    #[test]
    fn lengths() {
        let ip = plain(Family::V4, protocol::TCP);
        let with_offset = |words: u8, len: usize| {
            let mut bytes = vec![0; len];
            bytes[12] = words << 4;
            parse(&ip, &bytes, Trust::Trusted).map(|p| p.payload.len())
        };
        assert_eq!(with_offset(5, 19), Err(WireError::Truncated));
        assert_eq!(with_offset(4, 20), Err(WireError::Length));
        assert_eq!(with_offset(6, 23), Err(WireError::Truncated));
        assert_eq!(with_offset(6, 24), Ok(0));
        assert_eq!(with_offset(15, 61), Ok(1));
        assert_eq!(parse(&ip, &[0x50; 30], Trust::Verify), Err(WireError::Checksum));
    }

    #[test]
    fn what_has_no_form_is_not_emitted() {
        let ip = plain(Family::V4, protocol::TCP);
        let tcp = Header {
            src_port: 1,
            dst_port: 2,
            seq: Seq::new(0),
            ack: Seq::new(0),
            flags: Flags::ACK,
            window: 0,
            urgent: 0,
        };
        let mut out = vec![1];
        emit(&ip, &tcp, &Options::default(), iter::empty(), 65_495, 0, true, &mut out);
        assert_eq!(out.len(), 40);
        emit(&ip, &tcp, &Options::default(), iter::empty(), 65_496, 0, true, &mut out);
        assert!(out.is_empty());
    }
}

//! From a header and a payload to packets that fit: whole, or cut in fragments (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! TCP cuts its text itself and comes here never; UDP and ICMP may be larger than the path takes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::addr::Address;
use crate::wire::ip::{Fragment, Header, MAX_LEN};

/// The packet does not fit and may not be cut: IPv4 with DF, or more than IP can say the length of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("packet larger than {mtu} octets that must not be cut")]
pub struct TooBig {
    /// What would have fitted, octets with the IP header.
    pub mtu: usize,
}

/// Hands the packet to `out` whole where it fits in `mtu` octets, and in fragments otherwise, first to last.
/// Returns how many packets that made.
///
/// Both addresses are of one family; a header where they are not has no form on the wire and makes none.
///
/// `id` goes into every fragment (16 bits of it for IPv4) and must differ from that of any packet between the
/// same two hosts which may still be under way: see [`Ids`]. A `fragment` already in the header is ignored.
/// IPv4 packets with `dont_fragment` are never cut; in IPv6, where that bit is about routers, the source may.
pub fn fragment(
    mut header: Header,
    payload: &[u8],
    mtu: usize,
    id: u32,
    mut out: impl FnMut(Vec<u8>),
) -> Result<usize, TooBig> {
    header.fragment = None;
    let v4 = header.src.is_v4();
    let whole = header.emitted_len() + payload.len();
    // The length field counts the header in IPv4 and leaves it out in IPv6.
    let counted = if v4 { whole } else { payload.len() };
    if counted > MAX_LEN {
        return Err(TooBig { mtu });
    }
    let mut made = 0;
    let mut send = |header: &Header, payload: &[u8]| {
        let mut packet = Vec::with_capacity(header.emitted_len() + payload.len());
        if header.emit(payload.len(), id as u16, &mut packet).is_ok() {
            packet.extend_from_slice(payload);
            out(packet);
            made += 1;
        }
    };
    if whole <= mtu {
        send(&header, payload);
        return Ok(made);
    }
    header.fragment = Some(Fragment { id, offset: 0, more: true });
    // All but the last are a multiple of 8 octets long.
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
    //= id=rfc8200-4.5-3
    //# The lengths of the fragments must be chosen such that the resulting fragment packets fit within the
    //# MTU of the path to the packet's destination(s).
    let step = mtu.saturating_sub(header.emitted_len()) & !7;
    if step == 0 || (v4 && header.dont_fragment) {
        return Err(TooBig { mtu });
    }
    let mut offset = 0;
    for piece in payload.chunks(step) {
        let more = offset + piece.len() < payload.len();
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //= id=rfc8200-4.5-2, rfc8200-4.5-4
        header.fragment = Some(Fragment { id, offset: offset as u32, more });
        send(&header, piece);
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //= id=rfc8200-4.5-5
        //# Fragments must not be created that overlap with any other fragments created from the original
        //# packet.
        offset += piece.len();
    }
    Ok(made)
}

/// Chooses the identification of packets that are cut.
///
/// RFC 7739 §5.3: a keyed hash of the two addresses is where a pair's numbers begin, and a counter, shared by
/// the pairs that another keyed hash sends to it, counts them up. So nobody off the path can guess the next
/// one, and a pair sees no number again before the counter has gone round: 65536 packets in IPv4, which is as
/// good as its field allows (RFC 6864 §5.2).
#[derive(Clone)]
pub struct Ids {
    start_key: [u8; 16],
    counter_key: [u8; 16],
    counters: Box<[u32]>,
}

impl Ids {
    /// How many counters there are: 4 KiB of them.
    const COUNTERS: usize = 1024;

    /// Identifications that only this secret can predict.
    pub fn new(secret: [u8; 32]) -> Self {
        let (mut start_key, mut counter_key) = ([0; 16], [0; 16]);
        for (to, from) in start_key.iter_mut().chain(&mut counter_key).zip(secret) {
            *to = from;
        }
        let counters = (0..Self::COUNTERS as u64).map(|n| hash(&counter_key, &n.to_le_bytes()) as u32);
        Self { counters: counters.collect(), start_key, counter_key }
    }

    /// The identification of the next packet to be cut for this pair of hosts, all 32 bits of it; IPv4 takes
    /// the lower 16.
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
    //= id=rfc8200-4.5-1
    //# The Identification must be different than that of any other fragmented packet sent recently* with the
    //# same Source Address and Destination Address.
    pub fn next(&mut self, src: Address, dst: Address) -> u32 {
        self.next_run(src, dst, 1)
    }

    /// As [`next`](Self::next), the first of `count` in a row.
    pub fn next_run(&mut self, src: Address, dst: Address, count: u32) -> u32 {
        let mut pair = [0; 32];
        for (to, from) in pair.iter_mut().zip(src.octets().iter().chain(dst.octets())) {
            *to = *from;
        }
        let slot = hash(&self.counter_key, &pair) as usize % Self::COUNTERS;
        let start = hash(&self.start_key, &pair) as u32;
        let Some(counter) = self.counters.get_mut(slot) else { return start };
        let id = start.wrapping_add(*counter);
        *counter = counter.wrapping_add(count);
        id
    }
}

impl core::fmt::Debug for Ids {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The keys are what keeps the numbers from being guessed: not for a log.
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}

fn hash(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::vec;
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::ip::testing::{a, header};
    use crate::wire::ip::parse;

    fn cut(header: Header, payload: &[u8], mtu: usize) -> Result<Vec<Vec<u8>>, TooBig> {
        let mut packets = Vec::new();
        let made = fragment(header, payload, mtu, 0xabcd_1234, |p| packets.push(p))?;
        assert_eq!(made, packets.len());
        Ok(packets)
    }

    #[test]
    fn whole_where_it_fits() {
        for (v4, len) in [(true, 20), (false, 40)] {
            let packets = cut(header(v4), &[7; 100], 100 + len).unwrap();
            assert_eq!(packets.len(), 1);
            let parsed = parse(&packets[0]).unwrap();
            assert_eq!((parsed.header, parsed.payload), (header(v4), &[7; 100][..]));
            assert!(cut(header(v4), &[7; 100], 99 + len).unwrap().len() > 1);
            assert_eq!(cut(header(v4), &[], 1500).unwrap().len(), 1);
        }
        // The identification of a packet that is whole matters to nobody, but it is there.
        let packet = &cut(header(true), &[7; 100], 1500).unwrap()[0];
        assert_eq!(packet[4..6], [0x12, 0x34]);
    }

    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
    //= type=test
    //= id=rfc8200-4.5-2, rfc8200-4.5-4, rfc8200-4.5-5
    #[test]
    fn cut_at_multiples_of_eight() {
        let payload: Vec<u8> = (0..3000).map(|i| i as u8).collect();
        for (v4, lens, id) in
            [(true, vec![1480, 1480, 40], 0x1234), (false, vec![1448, 1448, 104], 0xabcd_1234)]
        {
            let packets = cut(header(v4), &payload, 1500).unwrap();
            let parsed: Vec<_> = packets.iter().map(|p| parse(p).unwrap()).collect();
            assert_eq!(parsed.iter().map(|p| p.payload.len()).collect::<Vec<_>>(), lens);
            let mut offset = 0;
            for (i, p) in parsed.iter().enumerate() {
                assert_eq!(p.header.fragment, Some(Fragment { id, offset, more: i < 2 }));
                assert_eq!(p.payload, &payload[offset as usize..offset as usize + p.payload.len()]);
                offset += p.payload.len() as u32;
            }
        }
    }

    #[test]
    fn must_not_be_cut() {
        let whole = Header { dont_fragment: true, ..header(true) };
        assert_eq!(cut(whole, &[0; 1481], 1500), Err(TooBig { mtu: 1500 }));
        assert_eq!(cut(whole, &[0; 1480], 1500).unwrap().len(), 1);
        // Where not even eight octets fit beside the header.
        assert_eq!(cut(header(true), &[0; 100], 27), Err(TooBig { mtu: 27 }));
        assert_eq!(cut(header(false), &[0; 100], 55), Err(TooBig { mtu: 55 }));
        assert_eq!(cut(header(false), &[0; 100], 0), Err(TooBig { mtu: 0 }));
    }

    #[test]
    fn longer_than_a_length_field_can_say() {
        assert!(cut(header(true), &vec![0; 65_515], 1500).is_ok());
        assert!(cut(header(true), &vec![0; 65_516], 1500).is_err());
        assert!(cut(header(true), &vec![0; 65_516], 100_000).is_err());
        assert!(cut(header(false), &vec![0; 65_535], 1500).is_ok());
        assert!(cut(header(false), &vec![0; 65_536], 1500).is_err());
    }

    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
    //= type=test
    //= id=rfc8200-4.5-1
    #[test]
    fn identifications_of_a_pair_do_not_repeat() {
        let mut ids = Ids::new([7; 32]);
        let (src, dst) = (a("10.7.0.1"), a("10.7.0.2"));
        let first = ids.next(src, dst);
        let mut seen = HashSet::from([first as u16]);
        for _ in 1..65_536 {
            assert!(seen.insert(ids.next(src, dst) as u16));
        }
        assert_eq!(ids.next(src, dst) as u16, first as u16);
    }

    #[test]
    fn identifications_depend_on_the_secret_and_the_pair() {
        let (src, dst) = (a("10.7.0.1"), a("10.7.0.2"));
        let first = |secret, src, dst| Ids::new([secret; 32]).next(src, dst);
        assert_eq!(first(1, src, dst), first(1, src, dst));
        assert_ne!(first(1, src, dst), first(2, src, dst));
        assert_ne!(first(1, src, dst), first(1, dst, src));
        // What one pair sends tells another nothing: their beginnings lie apart.
        let mut ids = Ids::new([1; 32]);
        let starts: HashSet<u32> =
            (0..200).map(|n| ids.next(src, Address::from_v4_octets([10, 7, 1, n]))).collect();
        assert_eq!(starts.len(), 200);
        let mut sorted: Vec<u32> = starts.into_iter().collect();
        sorted.sort_unstable();
        assert!(sorted.windows(2).filter(|w| w[1] - w[0] < 1000).count() < 5);
    }

    proptest! {
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //= type=test
        //= id=rfc8200-4.5-3
        #[test]
        fn every_mtu_cuts_or_says_no(v4 in any::<bool>(), mtu in 0usize..70_000, len in 0usize..70_000) {
            let payload = vec![5; len];
            match cut(header(v4), &payload, mtu) {
                Ok(packets) => {
                    let mut joined = 0;
                    for packet in &packets {
                        prop_assert!(packet.len() <= mtu);
                        joined += packet.len() - if v4 { 20 } else { 40 + 8 * usize::from(packets.len() > 1) };
                    }
                    prop_assert_eq!(joined, len);
                }
                Err(TooBig { .. }) => {
                    let (most, least) = if v4 { (65_515, 28) } else { (65_535, 56) };
                    prop_assert!(len > most || mtu < least);
                }
            }
        }
    }
}

//! The Internet checksum (RFC 1071) and who has to compute it.

use crate::addr::Address;

/// How far an arriving packet's transport checksum needs checking.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// Nobody has checked it: verify it.
    #[default]
    Verify,
    /// It never left the machine, or the device has verified it: do not touch the payload.
    Trusted,
}

/// How a leaving packet's transport checksum stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// It is in its place.
    Complete,
    /// Its field holds the sum of the pseudo-header alone; whoever sends the packet on sums from `start` to
    /// the end and stores the result at `start + offset`.
    Partial {
        /// Offset of the transport header from the start of the packet.
        start: u16,
        /// Offset of the checksum field within the transport header.
        offset: u16,
    },
}

/// A running one's complement sum of 16-bit words (RFC 1071 §1).
///
/// It remembers whether it stands in the middle of a word, so pieces of any length may be added in order and
/// give the sum of the whole. A last odd octet counts as if a zero octet followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Sum of words in the byte order of this machine: the sum does not depend on the order (RFC 1071 §2 B),
    /// so it is swapped once at the end and not word by word. 64 bits do not overflow below 16 GiB.
    native: u64,
    /// Whether an odd number of octets has been added.
    odd: bool,
}

impl Sum {
    /// Of no octets.
    pub const fn new() -> Self {
        Self { native: 0, odd: false }
    }

    /// Of a few words of 32 bits, in the order of octets that they have in memory.
    pub fn of_words(words: &[[u8; 4]]) -> Self {
        Self { native: sum_of_words(words), odd: false }
    }

    /// With the octets that come next.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "octets are no number that `+` would suggest")]
    pub fn add(self, bytes: &[u8]) -> Self {
        let sum = sum_of(bytes);
        // The first octet of an odd piece is the low half of a word: the sum of its words read one octet off
        // is the sum with its halves swapped (RFC 1071 §2 B).
        let sum = if self.odd { u64::from(fold(sum).swap_bytes()) } else { sum };
        Self { native: self.native + sum, odd: self.odd ^ (bytes.len() % 2 == 1) }
    }

    /// With a pseudo-header, or whatever else has an even number of octets: where it stands does not matter.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        debug_assert!(!other.odd, "its words would be another's halves");
        Self { native: self.native + other.native, odd: self.odd }
    }

    /// The checksum: the complement of the sum, to be stored big-endian. Over octets that hold a valid
    /// checksum it is 0.
    pub fn finish(self) -> u16 {
        !self.partial()
    }

    /// The sum itself, to be stored big-endian: what a device that completes the checksum expects to find in
    /// the field, of the pseudo-header alone.
    pub fn partial(self) -> u16 {
        u16::from_be(fold(self.native))
    }
}

/// Adds 64-bit words, each of which is congruent to the sum of its halves modulo 0xffff. Independent lanes let the compiler
/// use vector registers.
fn sum_of(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut sum = 0;
    if !blocks.is_empty() {
        let (mut lanes, mut uppers) = ([0u64; 8], [0u64; 8]);
        for block in blocks {
            for ((lane, upper), word) in lanes.iter_mut().zip(&mut uppers).zip(block.as_chunks().0) {
                let word = u64::from_ne_bytes(*word);
                *lane = lane.wrapping_add(word);
                *upper += word >> 32;
            }
        }
        // The words overflow. But the sum of their lower halves does not, and it is what is left of the words without the
        // upper ones, so it comes out right.
        let upper: u64 = uppers.iter().sum();
        let lower = lanes.iter().fold(0u64, |all, lane| all.wrapping_add(*lane)).wrapping_sub(upper << 32);
        sum = lower + upper;
    }
    let (words, rest) = rest.as_chunks::<4>();
    sum += sum_of_words(words);
    match *rest {
        [a] => sum + word([a, 0, 0, 0]),
        [a, b] => sum + word([a, b, 0, 0]),
        [a, b, c] => sum + word([a, b, c, 0]),
        _ => sum,
    }
}

fn sum_of_words(words: &[[u8; 4]]) -> u64 {
    words.iter().map(|&octets| word(octets)).sum()
}

fn word(octets: [u8; 4]) -> u64 {
    u32::from_ne_bytes(octets).into()
}

/// To 16 bits with end-around carry. 0 only where nothing but zeros was added.
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The sum of the pseudo-header that a transport checksum covers: RFC 9293 §3.1 for IPv4, RFC 8200 §8.1 for
/// IPv6. The family is that of `src`; `len` is the length in octets of transport header and text.
//= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
//= id=rfc8200-8.1-1
//# Any transport or other upper-layer protocol that includes the addresses from the IP header in its
//# checksum computation must be modified for use over IPv6, to include the 128-bit IPv6 addresses instead of
//# 32-bit IPv4 addresses.
pub fn pseudo_header(src: Address, dst: Address, protocol: u8, len: u32) -> Sum {
    let ends = if src.is_v4() {
        word(src.v4_octets()) + word(dst.v4_octets())
    } else {
        sum_of_words(src.octets().as_chunks().0) + sum_of_words(dst.octets().as_chunks().0)
    };
    // IPv4 has 16 bits of length and IPv6 32: the upper ones are 0 where a length fits, so they add nothing.
    Sum { native: ends + word(len.to_be_bytes()) + word([0, 0, 0, protocol]), odd: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// RFC 1071 §1 word by word, the way it is told.
    fn by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn known_vectors() {
        // RFC 1071 §3: the sum of these octets is ddf2.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::new().add(&example).partial(), 0xddf2);
        assert_eq!(Sum::new().add(&example).finish(), 0x220d);
        assert_eq!(Sum::new().finish(), 0xffff);
        assert_eq!(Sum::new().add(&[0xff; 64]).finish(), 0);
        assert_eq!(Sum::new().add(&[0xab]).partial(), 0xab00);
    }

    #[test]
    fn no_carry_is_lost_in_a_large_packet() {
        let large = [0xffu8; 65_535];
        assert_eq!(Sum::new().add(&large).finish(), by_the_book(&large));
        let mut sum = Sum::new();
        for _ in 0..100_000 {
            sum = sum.add(&[0xff, 0xff]);
        }
        assert_eq!(sum.finish(), 0);
    }

    #[test]
    fn pseudo_headers() {
        let (a, b) = (Address::from_v4_octets([10, 0, 0, 1]), Address::from_v4_octets([10, 0, 0, 2]));
        let plain = [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 20];
        assert_eq!(pseudo_header(a, b, 6, 20).finish(), by_the_book(&plain));

        let (a, b) = (Address::from_octets([0x20; 16]), Address::from_octets([0xfd; 16]));
        let mut plain = Vec::from([0x20; 16]);
        plain.extend([0xfd; 16]);
        plain.extend([0, 1, 0x11, 0x70, 0, 0, 0, 58]);
        assert_eq!(pseudo_header(a, b, 58, 70_000).finish(), by_the_book(&plain));
    }

    proptest! {
        #[test]
        fn the_sum_of_the_pieces_is_the_sum_of_the_whole(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70), 0..8)
        ) {
            let whole = pieces.concat();
            let sum = pieces.iter().fold(Sum::new(), |sum, piece| sum.add(piece));
            prop_assert_eq!(sum.finish(), Sum::new().add(&whole).finish());
            prop_assert_eq!(sum.finish(), by_the_book(&whole));
        }

        #[test]
        fn agrees_with_etherparse(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let theirs = etherparse::checksum::Sum16BitWords::new().add_slice(&bytes).ones_complement();
            prop_assert_eq!(Sum::new().add(&bytes).finish(), u16::from_be(theirs));
        }
    }
}

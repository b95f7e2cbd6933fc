//! Octets that can be told from their position alone, so that a receiver checks each without storing any.

/// An endless stream of pseudo-random octets: octet `n` depends on the seed and on `n` alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pattern(u64);

/// The way of a stream of octets through a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the end that connected.
    Up,
    /// To the end that connected.
    Down,
}

/// A step of SplitMix64: neighbours become unrelated.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Pattern {
    /// The stream with this seed.
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    /// The stream of one direction of one connection: `port` is that of the end that connected. Octets that
    /// stray to another connection or back to their sender do not fit there.
    pub const fn of_connection(seed: u64, port: u16, way: Way) -> Self {
        let direction = match way {
            Way::Up => 0,
            Way::Down => 1,
        };
        Self::new(seed ^ ((port as u64) << 1 | direction) << 40)
    }

    /// Octets `8 * n` to `8 * n + 7`.
    const fn word(self, n: u64) -> [u8; 8] {
        mix(self.0.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes()
    }

    /// The octet at `position`.
    pub const fn octet(self, position: u64) -> u8 {
        self.word(position / 8)[(position % 8) as usize]
    }

    /// Writes the octets from `position` on into `out`.
    pub fn fill(self, position: u64, out: &mut [u8]) {
        let lead = (position.wrapping_neg() % 8) as usize;
        let (first, rest) = out.split_at_mut(lead.min(out.len()));
        for (i, octet) in first.iter_mut().enumerate() {
            *octet = self.octet(position + i as u64);
        }
        for (word, chunk) in (position.div_ceil(8)..).zip(rest.chunks_mut(8)) {
            chunk.copy_from_slice(&self.word(word)[..chunk.len()]);
        }
    }

    /// Compares `data` with the octets from `position` on, and gives the position of the first that is
    /// wrong.
    ///
    /// # Errors
    /// That position.
    pub fn check(self, position: u64, data: &[u8]) -> Result<(), u64> {
        let mut expected = [0; 512];
        let mut at = position;
        for chunk in data.chunks(expected.len()) {
            let expected = &mut expected[..chunk.len()];
            self.fill(at, expected);
            if chunk != expected {
                let wrong = chunk.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(0);
                return Err(at + wrong as u64);
            }
            at += chunk.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_is_the_same_as_octet_by_octet() {
        let p = Pattern::new(7);
        let whole: Vec<u8> = (0..200).map(|i| p.octet(i)).collect();
        for from in 0..40usize {
            for len in 0..40 {
                let mut piece = vec![0; len];
                p.fill(from as u64, &mut piece);
                assert_eq!(piece, whole[from..from + len], "{from} {len}");
            }
        }
    }

    #[test]
    fn a_wrong_octet_is_found_where_it_is() {
        let p = Pattern::new(7);
        let mut data = vec![0; 2000];
        p.fill(3, &mut data);
        assert_eq!(p.check(3, &data), Ok(()));
        assert!(p.check(4, &data).is_err());
        data[1999] ^= 1;
        assert_eq!(p.check(3, &data), Err(3 + 1999));
        data[600] ^= 0x80;
        assert_eq!(p.check(3, &data), Err(3 + 600));
    }

    #[test]
    fn connections_and_directions_differ() {
        let mut heads = Vec::new();
        for port in [1, 2, 40_000, 65_535] {
            for way in [Way::Up, Way::Down] {
                heads.push(Pattern::of_connection(1, port, way).word(0));
            }
        }
        heads.sort_unstable();
        heads.dedup();
        assert_eq!(heads.len(), 8);
    }
}

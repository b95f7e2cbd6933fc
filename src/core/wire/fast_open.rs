//! The option of TCP Fast Open (RFC 7413 §4.1.1), and its older form among the experiments (RFC 6994).

use core::fmt;

use arrayvec::ArrayVec;

/// The identifier that the experiment had (RFC 7413 §9).
pub(super) const EXPERIMENT: [u8; 2] = [0xf9, 0x89];

/// A cookie: none, or 4 to 16 octets, an even number.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Cookie(ArrayVec<u8, 16>);

impl Cookie {
    /// Those octets; `None` where no cookie can be so long.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.1
    //= id=rfc7413-4.1.1-1
    //# The number MUST be even.
    pub fn new(octets: &[u8]) -> Option<Self> {
        match octets.len() {
            0 | 4..=16 if octets.len().is_multiple_of(2) => ArrayVec::try_from(octets).ok().map(Self),
            _ => None,
        }
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// None: asks for one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str(")")
    }
}

/// The option: a cookie, or with an empty one the request for one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FastOpen {
    /// The cookie.
    pub cookie: Cookie,
    /// In the form of the experiment (kind 254) rather than as kind 34.
    pub experimental: bool,
}

impl FastOpen {
    /// Octets in front of the cookie.
    const fn head(&self) -> usize {
        if self.experimental { 4 } else { 2 }
    }

    /// Octets on the wire, filled up to a multiple of 4.
    pub(super) fn len(&self) -> usize {
        (self.head() + self.cookie.0.len()).next_multiple_of(4)
    }

    /// The first octets: kind, length and, of the experiment, its identifier.
    pub(super) fn emit(&self, [kind, experiment, filler]: [u8; 3], out: &mut alloc::vec::Vec<u8>) {
        let len = self.head() + self.cookie.0.len();
        if self.experimental {
            out.extend_from_slice(&[experiment, len as u8, EXPERIMENT[0], EXPERIMENT[1]]);
        } else {
            out.extend_from_slice(&[kind, len as u8]);
        }
        out.extend_from_slice(&self.cookie.0);
        out.extend(core::iter::repeat_n(filler, self.len() - len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.1
    //= type=test
    //= id=rfc7413-4.1.1-1
    //# The number MUST be even.
    #[test]
    fn a_cookie_has_no_octets_or_an_even_number_from_4_to_16() {
        let fits: alloc::vec::Vec<usize> =
            (0..=20).filter(|&n| Cookie::new(&[7; 20][..n]).is_some()).collect();
        assert_eq!(fits, [0, 4, 6, 8, 10, 12, 14, 16]);
    }
}

//! Cookies, as a server makes and recognises them (RFC 7413 §4.1.2).

use core::fmt;

use rand::CryptoRng;
use siphasher::sip::SipHasher24;

use crate::addr::Quad;
use crate::wire::fast_open::Cookie;

pub use crate::fast_open::{LEN, Secrets};

/// Whose cookie a SYN brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// Of the first secret.
    Primary,
    /// Of the second: a newer one is due.
    Backup,
}

impl Secrets {
    /// One secret, drawn.
    pub fn draw(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut primary = [0; LEN];
        rng.fill_bytes(&mut primary);
        Self { primary, backup: None }
    }

    /// The cookie for the client at the other end of `quad`, 8 octets: SipHash-2-4 over its address and ours, as in
    /// Linux, so that servers that share a secret share cookies.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.2
    //= id=rfc7413-4.1.2-1
    //# The cookie SHOULD be a MAC tag with the following properties.
    pub fn cookie(&self, quad: &Quad) -> Cookie {
        Cookie::new(&tag(&self.primary, quad)).unwrap_or_default()
    }

    /// Which secret a cookie was made with, if one of these.
    pub fn recognise(&self, quad: &Quad, cookie: &Cookie) -> Option<Match> {
        if cookie.octets() == tag(&self.primary, quad) {
            return Some(Match::Primary);
        }
        let backup = self.backup.filter(|secret| cookie.octets() == tag(secret, quad));
        backup.map(|_| Match::Backup)
    }
}

fn tag(secret: &[u8; LEN], quad: &Quad) -> [u8; 8] {
    let hash = SipHasher24::new_with_key(secret);
    let [client, server] = [&quad.remote.address, &quad.local.address];
    let tag = if client.is_v4() {
        hash.hash([client.v4_octets(), server.v4_octets()].as_flattened())
    } else {
        hash.hash([*client.octets(), *server.octets()].as_flattened())
    };
    tag.to_le_bytes()
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.backup.is_some() { "Secrets(.., ..)" } else { "Secrets(..)" })
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv6Addr;

    use super::*;
    use crate::addr::{Address, Endpoint};

    fn quad(client: [u8; 4], server: [u8; 4]) -> Quad {
        let end = |octets| Endpoint::new(Address::from_v4_octets(octets), 7);
        Quad { local: end(server), remote: end(client) }
    }

    fn secret(words: [u32; 4]) -> [u8; LEN] {
        let mut octets = [0; LEN];
        for (place, word) in octets.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        octets
    }

    fn hex(cookie: &Cookie) -> u64 {
        u64::from_be_bytes(cookie.octets().try_into().unwrap())
    }

    /// What servers under Linux give for these secrets and addresses.
    #[test]
    fn cookies_are_those_of_linux() {
        let one =
            Secrets { primary: secret([0xa0bf_63f7, 0xed80_3d81, 0xcd64_1d30, 0xcebc_4a90]), backup: None };
        let client = quad([10, 248, 0, 2], [192, 168, 0, 2]);
        assert_eq!(hex(&one.cookie(&client)), 0x00ab_aaab_e8e9_54c2);
        assert_eq!(hex(&one.cookie(&quad([10, 248, 0, 3], [192, 168, 0, 3]))), 0x76d2_c1c5_30f5_1f79);
        let zero = Secrets { primary: [0; LEN], backup: None };
        assert_eq!(hex(&zero.cookie(&client)), 0x93b7_aa4f_550f_8a1a);
        let other = Secrets { primary: secret([0xa1a1_a1a1, 0xb2b2_b2b2, 0xc3c3_c3c3, 0xd4d4_d4d4]), ..zero };
        let end = |last| {
            let address =
                Ipv6Addr::new(0xfd3d, last, if last == 0xfa7b { 0xd17d } else { 0x17d6 }, 0, 0, 0, 0, 1);
            Endpoint::new(Address::v6(address), 1)
        };
        let v6 = Quad { local: end(0x0a0b), remote: end(0xfa7b) };
        assert_eq!(hex(&other.cookie(&v6)), 0xc1d1_e974_2a47_a9bc);
    }

    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.2
    //= type=test
    //= id=rfc7413-4.1.2-1
    #[test]
    fn a_cookie_is_good_for_its_address_and_its_secrets() {
        let (old, new) = ([1; LEN], [2; LEN]);
        let client = quad([10, 0, 0, 1], [10, 0, 0, 9]);
        let given = Secrets { primary: old, backup: None }.cookie(&client);
        let rotated = Secrets { primary: new, backup: Some(old) };
        assert_eq!(rotated.recognise(&client, &given), Some(Match::Backup));
        assert_eq!(rotated.recognise(&client, &rotated.cookie(&client)), Some(Match::Primary));
        assert_eq!(Secrets { backup: None, ..rotated }.recognise(&client, &given), None, "rotated out");
        for other in [quad([10, 0, 0, 2], [10, 0, 0, 9]), quad([10, 0, 0, 1], [10, 0, 0, 8])] {
            assert_eq!(rotated.recognise(&other, &given), None);
        }
        let elsewhere = Quad { remote: Endpoint::new(client.remote.address, 9999), ..client };
        assert_eq!(rotated.recognise(&elsewhere, &given), Some(Match::Backup), "ports do not count");
        assert_eq!(rotated.recognise(&client, &Cookie::default()), None);
        assert_eq!(alloc::format!("{rotated:?}"), "Secrets(.., ..)");
    }
}

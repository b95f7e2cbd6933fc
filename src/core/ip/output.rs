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
    let step = mtu.saturating_sub(header.emitted_len()) & !7;
    if step == 0 || (v4 && header.dont_fragment) {
        return Err(TooBig { mtu });
    }
    let mut offset = 0;
    for piece in payload.chunks(step) {
        let more = offset + piece.len() < payload.len();
        header.fragment = Some(Fragment { id, offset: offset as u32, more });
        send(&header, piece);
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
    pub fn next(&mut self, src: Address, dst: Address) -> u32 {
        let mut pair = [0; 32];
        for (to, from) in pair.iter_mut().zip(src.octets().iter().chain(dst.octets())) {
            *to = *from;
        }
        let slot = hash(&self.counter_key, &pair) as usize % Self::COUNTERS;
        let start = hash(&self.start_key, &pair) as u32;
        let Some(counter) = self.counters.get_mut(slot) else { return start };
        let id = start.wrapping_add(*counter);
        *counter = counter.wrapping_add(1);
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

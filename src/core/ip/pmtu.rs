//! What a path takes: the MTU learned from routers, by destination (RFC 1191, RFC 8201).
//!
//! Only lower values are kept here. They come from ICMP, which anybody can forge, so the caller must have
//! found that the message quotes something really sent (RFC 5927 §4) before it gives it to
//! [`PathMtu::update`].

use alloc::collections::BTreeMap;

use crate::addr::Address;
use crate::time::{Duration, Instant};

/// The smallest MTU of an IPv4 link (RFC 791 §3.2), below which an estimate never goes (RFC 1191 §3).
//= https://www.rfc-editor.org/rfc/rfc1191#section-3
//= id=rfc1191-3-7
//# A host MUST never reduce its estimate of the Path MTU below 68 octets.
pub const MIN_V4: u16 = 68;
/// The smallest MTU of an IPv6 link (RFC 8200 §5, RFC 8201 §4).
pub const MIN_V6: u16 = 1280;

/// MTUs that links are likely to have (RFC 1191 table 7-1), tried downward when a router does not say.
const PLATEAUS: [u16; 11] = [65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, MIN_V4];

#[derive(Clone, Copy, Debug)]
struct Entry {
    mtu: u16,
    confirmed: Instant,
    serial: u64,
}

/// The path MTUs learned, at most a fixed number of them. What was confirmed longest ago makes room first.
//= https://www.rfc-editor.org/rfc/rfc8201#section-1
//= id=rfc8201-1-1
//# IPv6 nodes should implement Path MTU Discovery in order to discover and take advantage of paths with
//# PMTU greater than the IPv6 minimum link MTU [RFC8200].
#[derive(Clone, Debug)]
pub struct PathMtu {
    //= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
    //= id=rfc8201-5.2-2
    //# Rather, a node must associate a PMTU value with some local representation of a path.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-5.2
    //= id=rfc4821-5.2-5
    paths: BTreeMap<Address, Entry>,
    by_age: BTreeMap<u64, Address>,
    next_serial: u64,
    entries: usize,
    lifetime: Duration,
}

impl PathMtu {
    /// Remembers up to `entries` paths, each for `lifetime` after a router last spoke of it: 10 minutes are
    /// recommended and 5 the least (RFC 1191 §6.3, RFC 8201 §4).
    pub const fn new(entries: usize, lifetime: Duration) -> Self {
        Self { paths: BTreeMap::new(), by_age: BTreeMap::new(), next_serial: 0, entries, lifetime }
    }

    /// The largest packet for `dst`, octets with the IP header: what a router said, or what the device takes.
    pub fn get(&mut self, dst: Address, now: Instant, device_mtu: u16) -> u16 {
        //= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
        //= id=rfc8201-5.2-4
        //# The local representation of the "path" to a multicast destination must represent a potentially large
        //# set of paths.
        let Some(&entry) = self.paths.get(&dst) else { return device_mtu };
        //= https://www.rfc-editor.org/rfc/rfc8201#section-3
        //= id=rfc8201-3-1
        //# Therefore, attempts to detect increases in a path's PMTU should be done infrequently.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-8
        //# Nodes may detect increases in PMTU, but because doing so requires sending packets larger than the
        //# current estimated PMTU, and because the likelihood is that the PMTU will not have increased, this
        //# must be done at infrequent intervals.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-9
        //# An attempt to detect an increase (by sending a packet larger than the current estimate) must not be
        //# done less than 5 minutes after a Packet Too Big message has been received for the given path.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-5.3
        //= id=rfc8201-5.3-1
        //# No such mechanism exists for realizing that a stale PMTU value is too small, so an implementation
        //# should "age" cached values.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-5.3
        //= id=rfc8201-5.3-2
        //# When a PMTU value has not been decreased for a while (on the order of 10 minutes), it should probe
        //# to find if a larger PMTU is supported.
        //= https://www.rfc-editor.org/rfc/rfc1191#section-3
        //= id=rfc1191-3-5
        //# An attempt to detect an increase (by sending a datagram larger than the current estimate) MUST NOT
        //# be done less than 5 minutes after a Datagram Too Big message has been received for the given
        //# destination, or less than 1 minute after a previous, successful attempted increase.
        if now >= entry.confirmed + self.lifetime {
            self.forget(dst);
            return device_mtu;
        }
        entry.mtu.min(device_mtu)
    }

    /// A router says that a packet of `quoted_len` octets (the length in the quoted IP header) to `dst` was
    /// too big, and that `mtu` octets would pass; 0 is "did not say" (RFC 1191 §5, IPv4 only). Returns the
    /// new path MTU when that lowered it. Never raises one. `quoted_len` 0 is "not known".
    pub fn update(
        &mut self,
        dst: Address,
        mtu: u16,
        quoted_len: u16,
        now: Instant,
        device_mtu: u16,
    ) -> Option<u16> {
        let current = self.get(dst, now, device_mtu);
        if mtu != 0 && quoted_len != 0 && mtu >= quoted_len {
            // What would have passed cannot have been too big (RFC 5927 §7.2).
            return None;
        }
        let mtu = if dst.is_v4() {
            //= https://www.rfc-editor.org/rfc/rfc1191#section-3
            //= id=rfc1191-3-3
            //# Clearly, the former strategy may continue to elicit Datagram Too Big messages for a while, but since
            //# each of these messages (and the dropped datagrams they respond to) consume Internet resources, the
            //# host MUST force the PMTU Discovery process to converge.
            //= https://www.rfc-editor.org/rfc/rfc1191#section-3
            //= id=rfc1191-3-6
            //# Hosts MUST be able to deal with Datagram Too Big messages that do not include the next-hop MTU,
            //# since it is not feasible to upgrade all the routers in the Internet in any finite time.
            if mtu == 0 { plateau(quoted_len, current) } else { mtu.max(MIN_V4) }
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-2
        //# If a node receives a Packet Too Big message reporting a next-hop MTU that is less than the IPv6
        //# minimum link MTU, it must discard it.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-3
        //# A node must not reduce its estimate of the Path MTU below the IPv6 minimum link MTU on receipt of a
        //# Packet Too Big message.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-6
        //= id=rfc8201-6-1
        //# In response, the victim node should never set its PMTU estimate below the IPv6 minimum link MTU.
        } else if mtu < MIN_V6 {
            // "must discard it": since RFC 8200 there are no atomic fragments to answer it with (RFC 8201 §4).
            return None;
        } else {
            mtu
        };
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-11
        //# A node must not increase its estimate of the Path MTU in response to the contents of a Packet Too
        //# Big message.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-6
        //= id=rfc8201-6-2
        //# A node, however, must not raise its estimate of the PMTU based on a Packet Too Big message, so it
        //# should not be vulnerable to this attack.
        //= https://www.rfc-editor.org/rfc/rfc1191#section-3
        //= id=rfc1191-3-8
        //# A host MUST not increase its estimate of the Path MTU in response to the contents of a Datagram Too
        //# Big message.
        if mtu > current || self.entries == 0 {
            return None;
        }
        if mtu == current && !self.paths.contains_key(&dst) {
            // What the device takes anyway is not worth a place.
            return None;
        }
        self.forget(dst);
        while self.paths.len() >= self.entries {
            let (_, oldest) = self.by_age.pop_first()?;
            self.paths.remove(&oldest);
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.by_age.insert(serial, dst);
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-4
        //# When a node receives a Packet Too Big message, it must reduce its estimate of the PMTU for the
        //# relevant path, based on the value of the MTU field in the message.
        //= https://www.rfc-editor.org/rfc/rfc1191#section-3
        //= id=rfc1191-3-1
        //# When a host receives a Datagram Too Big message, it MUST reduce its estimate of the PMTU for the
        //# relevant path, based on the value of the Next-Hop MTU field in the message (see section 4).
        self.paths.insert(dst, Entry { mtu, confirmed: now, serial });
        (mtu < current).then_some(mtu)
    }

    /// How many paths are remembered, those not counted that the table no longer believes but has not been
    /// asked about since.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    fn forget(&mut self, dst: Address) {
        if let Some(entry) = self.paths.remove(&dst) {
            self.by_age.remove(&entry.serial);
        }
    }
}

/// The next lower plateau (RFC 1191 §5). Routers of 4.2BSD's line add the header to the length they quote,
/// so a length that is not below the estimate is taken for theirs and cut by a header.
fn plateau(quoted_len: u16, current: u16) -> u16 {
    let sent = if quoted_len >= current { quoted_len.saturating_sub(20).min(current) } else { quoted_len };
    PLATEAUS.into_iter().find(|&p| p < sent).unwrap_or(MIN_V4)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;

    use super::*;
    use crate::ip::testing::a;

    const LIFE: Duration = Duration::from_secs(600);

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    //= https://www.rfc-editor.org/rfc/rfc1191#section-3
    //= type=test
    //= id=rfc1191-3-1, rfc1191-3-5
    #[test]
    fn lowered_then_aged() {
        let mut table = PathMtu::new(4, LIFE);
        let dst = a("8.8.8.8");
        assert_eq!(table.get(dst, at(0), 1500), 1500);
        assert_eq!(table.update(dst, 1400, 1500, at(0), 1500), Some(1400));
        assert_eq!(table.get(dst, at(599), 1500), 1400);
        assert_eq!(table.get(a("8.8.8.9"), at(0), 1500), 1500);
        assert_eq!(table.get(dst, at(600), 1500), 1500);
        assert!(table.is_empty());
    }

    //= https://www.rfc-editor.org/rfc/rfc1191#section-3
    //= type=test
    //= id=rfc1191-3-5, rfc1191-3-8
    #[test]
    fn never_raised_but_confirmed() {
        let mut table = PathMtu::new(4, LIFE);
        let dst = a("8.8.8.8");
        table.update(dst, 1400, 1500, at(0), 1500);
        assert_eq!(table.update(dst, 1450, 1500, at(1), 1500), None);
        assert_eq!(table.get(dst, at(1), 1500), 1400);
        // The same value once more is a Packet Too Big received: the 5 minutes begin again.
        assert_eq!(table.update(dst, 1400, 1500, at(500), 1500), None);
        assert_eq!(table.get(dst, at(1000), 1500), 1400);
        assert_eq!(table.get(dst, at(1100), 1500), 1500);
        assert_eq!(table.update(dst, 1500, 1500, at(1200), 1500), None);
        assert_eq!(table.update(dst, 9000, 1500, at(1200), 1500), None);
        assert_eq!(table.update(dst, 1000, 1000, at(1200), 1500), None);
        assert!(table.is_empty());
    }

    //= https://www.rfc-editor.org/rfc/rfc8201#section-4
    //= type=test
    //= id=rfc8201-4-2, rfc8201-4-3
    //= https://www.rfc-editor.org/rfc/rfc1191#section-3
    //= type=test
    //= id=rfc1191-3-7
    #[test]
    fn floors() {
        let mut table = PathMtu::new(4, LIFE);
        assert_eq!(table.update(a("8.8.8.8"), 20, 1500, at(0), 1500), Some(68));
        assert_eq!(table.update(a("fd00::1"), 1279, 1500, at(0), 1500), None);
        assert_eq!(table.update(a("fd00::1"), 0, 1500, at(0), 1500), None);
        assert_eq!(table.update(a("fd00::1"), 1280, 1500, at(0), 1500), Some(1280));
        assert_eq!(table.get(a("fd00::1"), at(1), 1500), 1280);
    }

    //= https://www.rfc-editor.org/rfc/rfc1191#section-3
    //= type=test
    //= id=rfc1191-3-3, rfc1191-3-6, rfc1191-3-7
    #[test]
    fn plateaus_when_the_router_does_not_say() {
        let mut table = PathMtu::new(4, LIFE);
        let dst = a("8.8.8.8");
        // Below the estimate: taken at its word.
        assert_eq!(table.update(dst, 0, 1500, at(0), 9000), Some(1492));
        // Not below it: 1492 may be 1472 and a header.
        assert_eq!(table.update(dst, 0, 1492, at(0), 9000), Some(1006));
        assert_eq!(table.update(dst, 0, 1006, at(0), 9000), Some(508));
        assert_eq!(table.update(dst, 0, 300, at(0), 9000), Some(296));
        assert_eq!(table.update(dst, 0, 296, at(0), 9000), Some(68));
        assert_eq!(table.update(dst, 0, 68, at(0), 9000), None);
        assert_eq!(table.get(dst, at(0), 9000), 68);
        assert_eq!(table.update(a("9.9.9.7"), 0, 1500, at(0), 1500), Some(1006));
        assert_eq!(table.update(a("9.9.9.8"), 0, 1520, at(0), 1500), Some(1492));
        // A quoted length beyond what can have been sent does not keep the estimate up.
        assert_eq!(table.update(a("9.9.9.9"), 0, 60000, at(0), 1500), Some(1492));
    }

    #[test]
    fn oldest_makes_room() {
        let mut table = PathMtu::new(2, LIFE);
        table.update(a("10.0.0.1"), 1000, 1500, at(0), 1500);
        table.update(a("10.0.0.2"), 1000, 1500, at(1), 1500);
        table.update(a("10.0.0.1"), 1000, 1500, at(2), 1500);
        table.update(a("10.0.0.3"), 1000, 1500, at(3), 1500);
        assert_eq!(table.get(a("10.0.0.1"), at(4), 1500), 1000);
        assert_eq!(table.get(a("10.0.0.2"), at(4), 1500), 1500);
        assert_eq!(table.get(a("10.0.0.3"), at(4), 1500), 1000);
        let mut none = PathMtu::new(0, LIFE);
        assert_eq!(none.update(a("10.0.0.1"), 1000, 1500, at(0), 1500), None);
    }

    proptest! {
        #[test]
        fn falls_only_and_stays_in_bounds(
            messages in prop::collection::vec((0u8..6, any::<bool>(), any::<u16>(), any::<u16>()), 1..60),
        ) {
            let mut table = PathMtu::new(3, LIFE);
            for (i, (host, v6, mtu, quoted)) in messages.into_iter().enumerate() {
                let mut octets = *a(if v6 { "fd00::" } else { "10.0.0.0" }).octets();
                octets[15] = host;
                let dst = Address::from_octets(octets);
                let now = at(i as u64);
                let before = table.get(dst, now, 1500);
                let lowered = table.update(dst, mtu, quoted, now, 1500);
                let after = table.get(dst, now, 1500);
                prop_assert_eq!(lowered, (after < before).then_some(after));
                prop_assert!(after <= before);
                let floor = if v6 { MIN_V6 } else { MIN_V4 };
                prop_assert!(after >= floor);
                prop_assert!(table.len() <= 3);
                prop_assert_eq!(table.paths.len(), table.by_age.len());
            }
        }
    }
}

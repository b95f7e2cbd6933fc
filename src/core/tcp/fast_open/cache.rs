//! What a client remembers of servers (RFC 7413 §4.1.3): their cookies, and where data in a SYN came to grief.

use alloc::collections::BTreeMap;

use crate::addr::{Address, Endpoint, Quad};
use crate::time::{Duration, Instant};
use crate::wire::fast_open::{Cookie, FastOpen};

/// How long a path is left alone after data in its SYN was refused; doubled each time in a row, up to 64 times as long.
const PAUSE: Duration = Duration::from_secs(60);

/// A map that holds a fixed number at the most: what was written longest ago makes room.
#[derive(Debug)]
struct Bounded<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    by_age: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), by_age: BTreeMap::new(), next: 0 }
    }
}

impl<K: Ord + Copy, V> Bounded<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let (serial, value) = self.entries.remove(key)?;
        self.by_age.remove(&serial);
        Some(value)
    }

    fn insert(&mut self, key: K, value: V, most: usize) {
        self.remove(&key);
        while self.entries.len() >= most {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            self.entries.remove(&oldest);
        }
        self.by_age.insert(self.next, key);
        self.entries.insert(key, (self.next, value));
        self.next += 1;
    }
}

/// In which form a cookie is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Form {
    /// The option of RFC 7413, which has not been left unanswered yet.
    #[default]
    New,
    /// The older one, once: the other had no answer.
    Old,
    /// That of RFC 7413, since neither had one.
    Settled,
}

/// What is known of a server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// Its cookie, if it has given one, or with an empty one how to ask for it.
    pub option: FastOpen,
    /// The MSS it told, octets, if it has told one.
    pub mss: Option<u16>,
    form: Form,
}

/// Data in a SYN that came to grief.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    times: u32,
    last: Instant,
}

/// Servers by their address and ours, and paths by the server's port too.
//= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.3
//= id=rfc7413-4.1.3-1
//# The client MUST cache cookies from servers for later Fast Open connections.
#[derive(Debug, Default)]
pub struct Cache {
    servers: Bounded<(Address, Address), Known>,
    refusals: Bounded<(Address, Endpoint), Refusal>,
}

impl Cache {
    /// What is known of the server of a connection.
    pub fn get(&self, quad: &Quad) -> Known {
        self.servers.get(&server(quad)).cloned().unwrap_or_default()
    }

    /// A SYN,ACK told this MSS, and perhaps a cookie. `most` servers are remembered.
    pub fn learn(&mut self, quad: &Quad, mss: u16, option: Option<&FastOpen>, most: usize) {
        let mut known = self.get(quad);
        known.mss = Some(mss);
        if let Some(option) = option.filter(|option| !option.cookie.is_empty()) {
            known.option = option.clone();
        }
        self.servers.insert(server(quad), known, most);
    }

    /// The server did not answer the request for a cookie, of this form: the other is tried once.
    pub fn unanswered(&mut self, quad: &Quad, experimental: bool, most: usize) {
        let mut known = self.get(quad);
        let next = if experimental { Form::Settled } else { Form::Old };
        if known.option.cookie.is_empty() && next > known.form {
            known.form = next;
            known.option = FastOpen { cookie: Cookie::default(), experimental: next == Form::Old };
            self.servers.insert(server(quad), known, most);
        }
    }

    /// Data in a SYN was not taken, or nothing came back.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.3.1
    //= id=rfc7413-4.1.3.1-1
    //# The client MUST cache negative responses from the server in order to avoid potential connection
    //# failures.
    pub fn refused(&mut self, quad: &Quad, now: Instant, most: usize) {
        let times = self.refusals.get(&path(quad)).map_or(0, |refusal| refusal.times);
        self.refusals.insert(path(quad), Refusal { times: times.saturating_add(1), last: now }, most);
    }

    /// Data in a SYN was taken.
    pub fn accepted(&mut self, quad: &Quad) {
        self.refusals.remove(&path(quad));
    }

    /// Whether no data goes with a SYN on the path of a connection for now.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.3.1
    //= id=rfc7413-4.1.3.1-2
    //# For any negative responses, the client SHOULD disable Fast Open on the specific path (the source and
    //# destination IP addresses and ports) at least temporarily.
    pub fn pauses(&self, quad: &Quad, now: Instant) -> bool {
        self.refusals.get(&path(quad)).is_some_and(|refusal| {
            let pause = PAUSE.saturating_mul(1 << refusal.times.saturating_sub(1).min(6));
            now < refusal.last + pause
        })
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

const fn server(quad: &Quad) -> (Address, Address) {
    (quad.local.address, quad.remote.address)
}

const fn path(quad: &Quad) -> (Address, Endpoint) {
    (quad.local.address, quad.remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quad(server: u8, port: u16) -> Quad {
        let end = |last, port| Endpoint::new(Address::from_v4_octets([10, 0, 0, last]), port);
        Quad { local: end(1, 50_000), remote: end(server, port) }
    }

    fn option(octets: &[u8], experimental: bool) -> FastOpen {
        FastOpen { cookie: Cookie::new(octets).unwrap(), experimental }
    }

    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.3
    //= type=test
    //= id=rfc7413-4.1.3-1
    #[test]
    fn a_server_has_one_cookie_the_latest() {
        let mut cache = Cache::default();
        assert_eq!(cache.get(&quad(9, 80)), Known::default());
        cache.learn(&quad(9, 80), 1400, Some(&option(&[1; 8], false)), 10);
        cache.learn(&quad(9, 443), 900, Some(&option(&[2; 4], true)), 10);
        let known = cache.get(&quad(9, 80));
        assert_eq!((known.option, known.mss), (option(&[2; 4], true), Some(900)), "ports do not count");
        // Neither a SYN,ACK without a cookie nor an empty one takes it away.
        cache.learn(&quad(9, 80), 1000, None, 10);
        cache.learn(&quad(9, 80), 1001, Some(&FastOpen::default()), 10);
        let known = cache.get(&quad(9, 80));
        assert_eq!((known.option, known.mss), (option(&[2; 4], true), Some(1001)));
        assert_eq!(cache.get(&quad(8, 80)), Known::default());
        cache.clear();
        assert_eq!(cache.get(&quad(9, 80)), Known::default());
    }

    #[test]
    fn it_is_bounded_and_the_oldest_makes_room() {
        let mut cache = Cache::default();
        for server in 1..=5 {
            cache.learn(&quad(server, 80), 1000, Some(&option(&[server; 4], false)), 3);
            cache.refused(&quad(server, 80), Instant::ZERO, 3);
            cache.learn(&quad(1, 80), 1000, None, 3);
        }
        let cookies: alloc::vec::Vec<u8> =
            (1..=5).filter(|&s| !cache.get(&quad(s, 80)).option.cookie.is_empty()).collect();
        assert_eq!(cookies, [1, 4, 5], "the first was spoken to again each time");
        assert_eq!((cache.servers.entries.len(), cache.servers.by_age.len()), (3, 3));
        assert!(!cache.pauses(&quad(2, 80), Instant::ZERO) && cache.pauses(&quad(3, 80), Instant::ZERO));
        assert_eq!(cache.refusals.entries.len(), 3);
        // No room at all is no cache.
        cache.learn(&quad(7, 80), 1000, None, 0);
        assert_eq!(cache.get(&quad(7, 80)), Known::default());
    }

    #[test]
    fn the_older_form_is_tried_once() {
        let mut cache = Cache::default();
        let asks = |cache: &Cache| cache.get(&quad(9, 80)).option.experimental;
        assert!(!asks(&cache));
        cache.unanswered(&quad(9, 80), false, 10);
        assert!(asks(&cache));
        cache.unanswered(&quad(9, 80), true, 10);
        assert!(!asks(&cache));
        cache.unanswered(&quad(9, 80), false, 10);
        assert!(!asks(&cache), "and then never again");
        cache.learn(&quad(8, 80), 1000, Some(&option(&[1; 4], false)), 10);
        cache.unanswered(&quad(8, 80), false, 10);
        assert_eq!(cache.get(&quad(8, 80)).option, option(&[1; 4], false), "who has a cookie keeps it");
    }

    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.3.1
    //= type=test
    //= id=rfc7413-4.1.3.1-1, rfc7413-4.1.3.1-2
    #[test]
    fn a_refusal_pauses_its_path_for_a_time_that_doubles() {
        let mut cache = Cache::default();
        let mut now = Instant::from_secs(100);
        for minutes in [1, 2, 4, 8, 16, 32, 64, 64] {
            cache.refused(&quad(9, 80), now, 10);
            now = now + Duration::from_secs(60 * minutes) - Duration::from_millis(1);
            assert!(cache.pauses(&quad(9, 80), now), "{minutes}");
            assert!(!cache.pauses(&quad(9, 443), now), "another port is another path");
            now += Duration::from_millis(1);
            assert!(!cache.pauses(&quad(9, 80), now), "{minutes}");
        }
        cache.accepted(&quad(9, 80));
        cache.refused(&quad(9, 80), now, 10);
        assert!(!cache.pauses(&quad(9, 80), now + Duration::from_secs(60)), "it begins anew");
    }
}

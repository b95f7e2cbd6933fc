//! TCP Fast Open (RFC 7413): data in the SYN, for those who have shown before that they receive what is sent to
//! their address.
//!
//! A client remembers each server's cookie ([`cache`]), sends it with data in its SYN ([`early`](super::early)), and
//! pauses where that comes to grief ([`black_hole`]). A server makes cookies out of addresses and a secret
//! ([`secret`]), and takes no more of such connections than it wants pending ([`pending`]).

pub mod secret;

pub mod cache;

pub mod black_hole;

pub mod pending;

use rand::CryptoRng;

pub use crate::fast_open::Modes;
use crate::tcp::ecn::negotiate::Promise;
use crate::wire::fast_open::FastOpen;
use black_hole::BlackHole;
use cache::Cache;
use secret::Secrets;

/// Why the data of a client had to be sent again after the handshake, or never went with the SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Failure {
    /// It did not.
    #[default]
    None,
    /// There was no cookie to send.
    NoCookie,
    /// The SYN,ACK acknowledged the SYN alone.
    NotAcknowledged,
    /// The SYN had to be sent again.
    SynTimedOut,
}

/// What a stack keeps for all its connections.
#[derive(Debug)]
pub struct Host {
    /// What is known of servers.
    pub cache: Cache,
    /// Whether clients pause.
    pub black_hole: BlackHole,
    /// Drawn when the stack was made.
    own: Secrets,
}

impl Host {
    /// Nothing known, and secrets of its own.
    pub fn new(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self { cache: Cache::default(), black_hole: BlackHole::default(), own: Secrets::draw(rng) }
    }

    /// The secrets that hold where a listener has none: those configured, or the stack's own.
    pub const fn secrets(&self, configured: Option<Secrets>) -> Secrets {
        match configured {
            Some(secrets) => secrets,
            None => self.own,
        }
    }
}

/// A listener: its slot, and the low octet of the slot's generation.
pub type Place = (u32, u8);

/// What a connection that has to do with Fast Open keeps beside its record.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// What goes with the first SYN, or SYN,ACK.
    pub(in crate::tcp) option: Option<FastOpen>,
    /// Octets of text in our SYN.
    pub(in crate::tcp) in_syn: u16,
    /// The SYN waits for the program's first octets.
    pub(in crate::tcp) deferred: bool,
    /// A call waits to write what did not go with the SYN.
    pub(in crate::tcp) rest_waits: bool,
    /// The SYN carried the option.
    pub(in crate::tcp) asked: bool,
    /// It is the first since a pause: if it does well, pauses begin anew.
    pub(in crate::tcp) after_pause: bool,
    /// The text of a SYN was taken: ours by the peer, all of it, or the peer's by us.
    pub(in crate::tcp) taken: bool,
    pub(in crate::tcp) failure: Failure,
    /// The listener among whose pending connections it counts.
    pub(in crate::tcp) listener: Option<Place>,
    /// What our SYN,ACK says of ECN.
    pub(in crate::tcp) promise: Option<Promise>,
    /// It ended by a reset of the peer.
    pub(in crate::tcp) was_reset: bool,
    /// How often a SYN sent again was answered.
    pub(in crate::tcp) answers: u8,
}

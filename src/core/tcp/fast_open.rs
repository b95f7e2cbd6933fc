//! TCP Fast Open (RFC 7413): data in the SYN, for those who have shown before that they receive what is sent to
//! their address.
//!
//! A client remembers each server's cookie ([`cache`]), sends it with data in its SYN ([`client`]), and pauses where
//! that comes to grief ([`black_hole`]). A server makes cookies out of addresses and a secret ([`secret`]), and takes no
//! more of such connections than it wants pending ([`pending`], [`server`]).

pub mod secret;

pub mod cache;

pub mod black_hole;

pub mod client;

pub mod pending;

pub mod server;

use rand::CryptoRng;

use crate::tcp::ecn::negotiate::Promise;
use crate::wire::fast_open::FastOpen;
use black_hole::BlackHole;
use cache::Cache;
use secret::Secrets;

bitflags::bitflags! {
    /// Who may use Fast Open, and who without cookies: the bits of Linux's sysctl `tcp_fastopen`.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-2
    //= id=rfc7413-2-1
    //# Therefore, TCP implementations MUST NOT use TFO by default, but only use TFO if requested explicitly
    //# by the application on a per-service-port basis.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Modes: u32 {
        /// Programs may open connections so, one by one.
        const CLIENT = 0x1;
        /// Listeners may be asked to take data in a SYN.
        const SERVER = 0x2;
        /// Data leaves in a SYN without a cookie.
        const CLIENT_NO_COOKIE = 0x4;
        /// Data in a SYN is taken without a cookie (RFC 7413 §7.3).
        const SERVER_NO_COOKIE = 0x200;
        /// Every listener takes part, asked or not.
        const ALL_LISTENERS = 0x400;
        // What is not named here means nothing, and is kept.
        const _ = !0;
    }
}

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

/// What a connection that has to do with Fast Open keeps beside its record.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// What goes with the first SYN, or SYN,ACK.
    option: Option<FastOpen>,
    /// Octets of text in our SYN.
    in_syn: u16,
    /// The SYN waits for the program's first octets.
    deferred: bool,
    /// A call waits to write what did not go with the SYN.
    rest_waits: bool,
    /// The SYN carried the option.
    asked: bool,
    /// It is the first since a pause: if it does well, pauses begin anew.
    after_pause: bool,
    /// The text of a SYN was taken: ours by the peer, all of it, or the peer's by us.
    taken: bool,
    failure: Failure,
    /// The listener among whose pending connections it counts.
    listener: Option<server::Place>,
    /// What our SYN,ACK says of ECN.
    promise: Option<Promise>,
    /// It ended by a reset of the peer.
    was_reset: bool,
    /// How often a SYN sent again was answered.
    answers: u8,
}

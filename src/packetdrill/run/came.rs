//! Packets of the stack, before the script has looked at them.

use std::time::Duration;

use crate::core::time::Instant;
use crate::device::outbox::Letter;
use crate::packetdrill::packet::{self, Seen};

/// A packet that the stack has sent.
#[derive(Debug)]
pub(super) struct Came {
    /// When.
    pub(super) when: Duration,
    /// What it is, or why it is none.
    pub(super) seen: Result<Seen, String>,
    /// Why it was sent.
    pub(super) why: Option<String>,
}

impl Came {
    /// The packets that a device would have made of one.
    pub(super) fn of(letter: Letter) -> Vec<Self> {
        let when = letter.when.saturating_since(Instant::ZERO);
        let why = letter.event.map(|event| event.to_string());
        let came = |seen| Self { when, seen, why: why.clone() };
        match packet::decode_offloaded(&letter.packet, letter.gso_size) {
            Ok(seen) => packet::split(seen).into_iter().map(|seen| came(Ok(seen))).collect(),
            Err(what) => vec![came(Err(what))],
        }
    }
}

//! Several stacks that are one host: which of them a packet is for, what they share, and what they tell each other.
//!
//! A connection lives in the stack that a keyed hash of its ends names, whoever opens it, and its packets go there
//! alone. UDP, ping and fragments are the first one's. What all must agree on, such as who has bound which port, stands
//! in the [`Registry`]. What one has to tell another is a [`Post`], which whoever drives them takes from the one with
//! [`Stack::poll_post`] and gives to the other with [`Stack::take_post`]: no stack ever looks into another.

mod registry;

mod placement;

mod post;

mod listening;

mod claim;

mod delivery;

pub use placement::Placement;
pub use post::Post;
pub(super) use registry::Bound;
pub use registry::{Exclusive, Registry};

use alloc::sync::Arc;

use super::Stack;
use crate::addr::Quad;
use crate::config::Config;

/// What a stack knows of being one of several.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// Which one it is.
    pub(super) number: u16,
    pub(super) placement: Arc<Placement>,
}

impl Share {
    /// Whether the hash places a connection here.
    pub(super) fn owns(&self, quad: &Quad) -> bool {
        self.placement.by_hash(quad) == self.number
    }
}

impl Stack {
    /// As [`new`](Self::new), the stack of this number among those that are placed together. All must have the same
    /// settings and the same seed: what one signs, such as a SYN cookie, another may have to recognise.
    pub fn shard(config: Config, seed: [u8; 32], number: u16, placement: Arc<Placement>) -> Self {
        let several = placement.count() > 1;
        Self::numbered(config, seed, number, several.then_some(Share { number, placement }))
    }

    /// Which of a host's stacks it is, from 0.
    pub fn number(&self) -> u16 {
        self.share.as_ref().map_or(0, |share| share.number)
    }
}

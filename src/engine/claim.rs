//! Before a connection from a port that the program has chosen: the shard where it would live by the hash gives it up to
//! that of its socket. Each is asked for itself, with no other's lock held.

use std::io;

use tunstack_core::addr::{Endpoint, Quad};
use tunstack_core::stack::SocketId;

use super::Engine;
use super::shard::Shard;

/// A connection that is about to begin in another shard than the hash says. Held until it has, or has not.
#[must_use]
pub(crate) struct Claim<'a> {
    shard: &'a Shard,
    quad: Quad,
}

impl Engine {
    /// To be called before a socket connects. `None` where there is nobody to ask, as for all whose port is not chosen.
    ///
    /// # Errors
    /// `AddrNotAvailable`: there is a connection with these ends; whatever ended the engine.
    pub(crate) fn claim(&self, id: SocketId, remote: Endpoint) -> io::Result<Option<Claim<'_>>> {
        if self.shards().len() == 1 {
            return Ok(None);
        }
        let shard = self.shard_of(id);
        let Some((owner, quad)) = shard.query(|stack| Ok(stack.claims(id, remote)))? else { return Ok(None) };
        self.shards()[usize::from(owner)].query(|stack| stack.cede(&quad, id.shard()))?;
        Ok(Some(Claim { shard, quad }))
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let held = self.shard.lock();
        held.stack.end_claim(&self.quad);
        held.release();
    }
}

//! A connection from a port that the program has chosen lives where its socket is. Where the hash names another shard,
//! that one is asked first: it may have such a connection, and from when it has none it is to begin none.

use crate::addr::{Endpoint, Quad};
use crate::error::Error;
use crate::stack::{Kind, Own, Socket, SocketId, Stack};

impl Stack {
    /// The connection that a [`connect`](Self::connect) of this socket begins, where another shard has to
    /// [`cede`](Self::cede) it before: that shard and its ends. `None` where none has to, and where the socket begins no
    /// connection: `connect` says why.
    pub fn claims(&self, id: SocketId, remote: Endpoint) -> Option<(u16, Quad)> {
        let share = self.share.as_ref()?;
        let Socket { kind: Kind::Idle(idle), own, .. } = self.held(id).ok()? else { return None };
        if !own.contains(Own::BOUND) {
            return None;
        }
        let remote = self.name_ourselves(remote, idle.local.address);
        let address = self.source_to(remote.address, idle.local.address)?;
        let quad = Quad { local: Endpoint::new(address, idle.local.port), remote };
        let owner = share.placement.by_hash(&quad);
        (owner != share.number).then_some((owner, quad))
    }

    /// Leaves the connection with these ends to the shard `to`, whither its packets go from now on, until
    /// [`end_claim`](Self::end_claim) or the end of the connection, whichever comes later. Nothing may be under way to this
    /// stack meanwhile but packets.
    ///
    /// # Errors
    /// [`Error::AddrNotAvailable`]: there is such a connection, or what is left of one.
    pub fn cede(&self, quad: &Quad, to: u16) -> Result<(), Error> {
        let Some(share) = &self.share else { return Ok(()) };
        if self.knows(quad) || !share.placement.strays(quad, to) {
            return Err(Error::AddrNotAvailable);
        }
        Ok(())
    }

    /// What was ceded is begun, or will not be.
    pub fn end_claim(&self, quad: &Quad) {
        if let Some(share) = &self.share {
            share.placement.stray_ends(quad);
        }
    }

    /// Of several shards, whether packets of a connection with these ends go to another than this.
    pub(in crate::stack) fn is_anothers(&self, quad: &Quad) -> bool {
        self.share.as_ref().is_some_and(|share| share.placement.owner(quad) != share.number)
    }

    /// The same for a packet that has come here: it was under way when the connection was ceded.
    pub(in crate::stack) fn was_ceded(&self, quad: &Quad) -> bool {
        let Some(share) = &self.share else { return false };
        share.placement.stray(quad).is_some_and(|at| at != share.number)
    }
}

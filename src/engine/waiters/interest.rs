//! What is waited for, and who sees all of it.

use tunstack_core::stack::{Readiness, SocketId};

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interest {
    /// Something to read or accept, the end of the data, or an error.
    Readable,
    /// Room to write, the end of a connection attempt, or an error.
    Writable,
}

impl Interest {
    /// The readiness bits that end the wait.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.8
    //# However, an application program that does not want to receive such ERROR_REPORT calls SHOULD be able to
    //# effectively disable these calls (SHLD-20).
    pub const fn mask(self) -> Readiness {
        let always = Readiness::HANG_UP.union(Readiness::ERROR);
        match self {
            Self::Readable => Readiness::READABLE.union(Readiness::READ_CLOSED).union(always),
            Self::Writable => Readiness::WRITABLE.union(always),
        }
    }
}

/// Sees every change of one socket from when it is entered until it is taken back.
///
/// It is told under the engine's lock, so what it was told last is how the socket stands: it must be quick, never
/// wait, and never call into the engine.
pub(crate) trait Observer: Send + Sync {
    /// How the socket stands now, and which of that is new: it arose, or something arrived for it though it stood
    /// before. Gives a name of the thread that was woken by that, if one was.
    fn changed(&self, readiness: Readiness, edges: Readiness) -> Option<usize>;

    /// What `owner`, a number that it chose itself, calls this observer, if it is one of its.
    fn name_for(&self, _owner: usize) -> Option<SocketId> {
        None
    }
}

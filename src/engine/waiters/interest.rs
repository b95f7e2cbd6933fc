//! What is waited for, and who sees all of it.

use std::sync::Arc;

use tunstack_core::stack::Readiness;

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
}

/// The same of many sockets, each of which it has a name for: of a crowd none costs more than that.
pub(crate) trait Overseer: Send + Sync {
    /// As [`Observer::changed`], of the socket that it calls so.
    fn changed(&self, name: Name, readiness: Readiness, edges: Readiness) -> Option<usize>;

    /// It sees no more of that socket.
    fn let_go(&self, name: Name);
}

/// What an overseer calls one of its sockets: it chooses these numbers itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// One socket of an overseer's.
pub(super) struct Overseen {
    pub(super) by: Arc<dyn Overseer>,
    pub(super) name: Name,
}

impl Drop for Overseen {
    fn drop(&mut self) {
        self.by.let_go(self.name);
    }
}

//! Where sockets live: slots that are used again, and handles that notice.

/// A socket's handle. A handle kept after its socket is gone names nothing: the slot's generation differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SocketId {
    /// The slot's number: dense from 0, used again after the socket is gone. A key for side tables.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Which use of the slot this is.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

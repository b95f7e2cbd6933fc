//! What a task waits for and what it finds.

use std::ops::BitOr;

use tunstack_core::stack::Readiness;

use crate::engine;

/// What a task waits for: one direction, or with `|` several. Errors and the end of the connection are waited for in
/// any case.
///
/// ```
/// # use tunstack::aio::Interest;
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Interest(Readiness);

impl Interest {
    /// Something to read or accept, the end of the data.
    pub const READABLE: Self = Self(engine::Interest::Readable.mask());
    /// Room to write, the end of a connection attempt.
    pub const WRITABLE: Self = Self(engine::Interest::Writable.mask());
    /// Urgent data (RFC 9293 §3.8.5).
    pub const PRIORITY: Self = Self::and_ends(Readiness::URGENT);
    /// An error, and nothing else.
    pub const ERROR: Self = Self::and_ends(Readiness::empty());

    const fn and_ends(bits: Readiness) -> Self {
        Self(bits.union(Readiness::HANG_UP).union(Readiness::ERROR))
    }

    /// Both of two.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0.union(other.0))
    }

    /// Whether something to read is waited for.
    pub const fn is_readable(self) -> bool {
        self.0.contains(Readiness::READABLE)
    }

    /// Whether room to write is waited for.
    pub const fn is_writable(self) -> bool {
        self.0.contains(Readiness::WRITABLE)
    }

    /// Whether urgent data is waited for.
    pub const fn is_priority(self) -> bool {
        self.0.contains(Readiness::URGENT)
    }

    /// The readiness bits that end the wait.
    pub(super) const fn mask(self) -> Readiness {
        self.0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl From<engine::Interest> for Interest {
    fn from(interest: engine::Interest) -> Self {
        Self(interest.mask())
    }
}

/// What a task found: what it could do without waiting when it was woken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Ready(Readiness);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(Readiness::empty());

    /// Whether it is nothing.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// A read gives data, the end of the data or an error; an accept gives a connection.
    pub const fn is_readable(self) -> bool {
        self.0.intersects(Readiness::READABLE.union(Readiness::READ_CLOSED))
    }

    /// A write takes data or gives an error; a connection attempt has ended.
    pub const fn is_writable(self) -> bool {
        self.0.contains(Readiness::WRITABLE) || self.is_write_closed()
    }

    /// The peer will send no more, or the reading side is shut down.
    pub const fn is_read_closed(self) -> bool {
        self.0.intersects(Readiness::READ_CLOSED.union(Readiness::HANG_UP))
    }

    /// Nothing can be sent any more, since both sides are closed or the connection has failed.
    pub const fn is_write_closed(self) -> bool {
        self.0.intersects(Readiness::HANG_UP.union(Readiness::ERROR))
    }

    /// Urgent data lies ahead.
    pub const fn is_priority(self) -> bool {
        self.0.contains(Readiness::URGENT)
    }

    /// An error waits to be taken, by the next call or by `take_error`.
    pub const fn is_error(self) -> bool {
        self.0.contains(Readiness::ERROR)
    }
}

impl From<Readiness> for Ready {
    fn from(readiness: Readiness) -> Self {
        Self(readiness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interest_ends_with_an_error_too() {
        for interest in [Interest::READABLE, Interest::WRITABLE, Interest::PRIORITY, Interest::ERROR] {
            assert!(interest.mask().contains(Readiness::ERROR | Readiness::HANG_UP), "{interest:?}");
        }
        assert!(!Interest::READABLE.is_writable() && !Interest::WRITABLE.is_readable());
        assert!(!Interest::ERROR.is_readable() && !Interest::ERROR.is_writable());
        assert_eq!(Interest::from(engine::Interest::Readable), Interest::READABLE);
        let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        let nobody_waits_for = Readiness::URGENT_AHEAD | Readiness::SOFT_ERROR;
        assert_eq!(all.mask(), Readiness::all() - nobody_waits_for);
    }

    #[test]
    fn what_is_ready_is_told_as_tokio_tells_it() {
        let ready = |bits| Ready::from(bits);
        assert!(ready(Readiness::READ_CLOSED).is_readable() && !ready(Readiness::READ_CLOSED).is_writable());
        assert!(!ready(Readiness::READABLE).is_read_closed());
        assert!(ready(Readiness::HANG_UP).is_read_closed() && ready(Readiness::HANG_UP).is_write_closed());
        assert!(ready(Readiness::ERROR).is_writable() && ready(Readiness::ERROR).is_error());
        assert!(Ready::EMPTY.is_empty() && !ready(Readiness::URGENT).is_empty());
    }
}

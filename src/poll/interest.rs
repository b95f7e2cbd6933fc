//! What a program waits for, and the name it gives to what it waits on.

use std::fmt;
use std::num::NonZeroU8;
use std::ops::{BitOr, BitOrAssign};

use rustix::event::epoll::EventFlags;
use tunstack_core::stack::Readiness;

/// A number of the program's own choice that comes back with each event of a source. Nothing keeps two
/// sources from having the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub usize);

impl From<Token> for usize {
    fn from(token: Token) -> Self {
        token.0
    }
}

const READABLE: u8 = 1 << 0;
const WRITABLE: u8 = 1 << 1;
const PRIORITY: u8 = 1 << 2;

/// What to be told of; never nothing. Errors and hang-ups are told whatever it says.
///
/// ```
/// use tunstack::poll::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interest(NonZeroU8);

impl Interest {
    /// Something to read or accept, or that the peer will send no more.
    pub const READABLE: Self = Self::of(READABLE);

    /// Room to write, or the end of a connection attempt.
    pub const WRITABLE: Self = Self::of(WRITABLE);

    /// Urgent data of TCP (RFC 6093), and what else the kernel calls exceptional of its descriptors.
    pub const PRIORITY: Self = Self::of(PRIORITY);

    const fn of(bit: u8) -> Self {
        Self(NonZeroU8::new(bit).expect("a bit is set"))
    }

    /// Either's. The same as `|`, in constants too.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self(NonZeroU8::new(self.0.get() | other.0.get()).expect("both are more than nothing"))
    }

    /// Without `other`; `None` when nothing is left.
    #[must_use]
    pub const fn remove(self, other: Self) -> Option<Self> {
        match NonZeroU8::new(self.0.get() & !other.0.get()) {
            Some(left) => Some(Self(left)),
            None => None,
        }
    }

    /// Whether it includes [`READABLE`](Self::READABLE).
    pub const fn is_readable(self) -> bool {
        self.0.get() & READABLE != 0
    }

    /// Whether it includes [`WRITABLE`](Self::WRITABLE).
    pub const fn is_writable(self) -> bool {
        self.0.get() & WRITABLE != 0
    }

    /// Whether it includes [`PRIORITY`](Self::PRIORITY).
    pub const fn is_priority(self) -> bool {
        self.0.get() & PRIORITY != 0
    }

    /// The bits of a socket's readiness that concern who waits for this.
    pub(super) fn mask(self) -> Readiness {
        let mut mask = Readiness::ERROR | Readiness::HANG_UP;
        mask.set(Readiness::READABLE | Readiness::READ_CLOSED, self.is_readable());
        mask.set(Readiness::WRITABLE, self.is_writable());
        mask.set(Readiness::URGENT, self.is_priority());
        mask
    }

    /// The same in the kernel's words.
    pub(super) fn flags(self) -> EventFlags {
        let mut flags = EventFlags::ET;
        flags.set(EventFlags::IN | EventFlags::RDHUP, self.is_readable());
        flags.set(EventFlags::OUT, self.is_writable());
        flags.set(EventFlags::PRI, self.is_priority());
        flags
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.add(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_priority(), "PRIORITY"),
        ];
        let names: Vec<_> = names.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        f.write_str(&names.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_are_sets_that_are_never_empty() {
        let mut all = Interest::READABLE | Interest::WRITABLE;
        all |= Interest::PRIORITY;
        assert!(all.is_readable() && all.is_writable() && all.is_priority());
        assert_eq!(format!("{all:?}"), "READABLE | WRITABLE | PRIORITY");
        let some = all.remove(Interest::READABLE).unwrap();
        assert!(!some.is_readable() && some.is_writable() && some.is_priority());
        assert_eq!(some.add(some), some);
        assert_eq!(some.remove(all), None);
    }

    #[test]
    fn who_reads_hears_of_the_end_and_all_hear_of_errors() {
        let always = Readiness::ERROR | Readiness::HANG_UP;
        assert_eq!(Interest::READABLE.mask(), Readiness::READABLE | Readiness::READ_CLOSED | always);
        assert_eq!(Interest::WRITABLE.mask(), Readiness::WRITABLE | always);
        assert_eq!(Interest::PRIORITY.mask(), Readiness::URGENT | always);
        assert_eq!(Interest::READABLE.flags(), EventFlags::ET | EventFlags::IN | EventFlags::RDHUP);
        assert_eq!(Interest::WRITABLE.flags(), EventFlags::ET | EventFlags::OUT);
        assert_eq!(Interest::PRIORITY.flags(), EventFlags::ET | EventFlags::PRI);
    }
}

//! `select`, and the sets of descriptors that it takes.

use std::fmt;
use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::Errno;

use super::wait;
use crate::bsd::sys::{self, SET_SIZE, SetWord, SetWords};
use crate::bsd::{Result, Sockets};

/// A set holds numbers below this.
pub const FD_SETSIZE: usize = SET_SIZE;

/// A set of descriptors (`fd_set`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FdSet {
    words: SetWords,
}

impl FdSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { words: [0; _] }
    }

    /// The word in which a number has its bit, and the bit.
    fn place(fd: RawFd) -> Option<(usize, SetWord)> {
        let number = usize::try_from(fd).ok().filter(|number| *number < FD_SETSIZE)?;
        let bits = SetWord::BITS as usize;
        Some((number / bits, 1 << (number % bits)))
    }

    /// Adds a descriptor (`FD_SET`).
    ///
    /// # Errors
    /// `EINVAL`: it is below 0, or not below [`FD_SETSIZE`]. C programs write beyond the set then.
    pub fn insert(&mut self, fd: RawFd) -> Result<()> {
        let (word, bit) = Self::place(fd).ok_or(Errno::INVAL)?;
        self.words[word] |= bit;
        Ok(())
    }

    /// Takes a descriptor out (`FD_CLR`).
    pub fn remove(&mut self, fd: RawFd) {
        if let Some((word, bit)) = Self::place(fd) {
            self.words[word] &= !bit;
        }
    }

    /// Whether a descriptor is in the set (`FD_ISSET`).
    pub fn contains(&self, fd: RawFd) -> bool {
        Self::place(fd).is_some_and(|(word, bit)| self.words[word] & bit != 0)
    }

    /// Empties the set (`FD_ZERO`).
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Whether no descriptor is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The descriptors, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = RawFd> + '_ {
        (0..FD_SETSIZE as RawFd).filter(|fd| self.contains(*fd))
    }
}

impl Default for FdSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Sockets {
    /// `select(2)`: waits until a descriptor of `read` may be read, of `write` written, or of `except` has urgent
    /// data. Each set keeps those of which that is so, and the call gives their number in all. Only numbers
    /// below `nfds` are looked at. `timeout` goes down to what is left of it, in microseconds, also where the call
    /// fails by `EINTR`; without
    /// one it waits for ever.
    ///
    /// ```
    /// # use tunstack::{bsd::{FdSet, Sockets, abi::*}, device::pipe::Pipe, engine::Engine};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (device, _peer) = Pipe::pair(1500)?;
    /// let sys = Sockets::new(&Engine::builder().device(device).start()?);
    /// let socket = sys.socket(AF_INET, SOCK_DGRAM, 0)?;
    /// let (mut read, mut write) = (FdSet::new(), FdSet::new());
    /// read.insert(socket)?;
    /// write.insert(socket)?;
    /// assert_eq!(sys.select(socket + 1, Some(&mut read), Some(&mut write), None, None)?, 1);
    /// assert!(read.is_empty() && write.contains(socket));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `EBADF` (a number in a set is not open), `EINVAL` (`nfds` below 0), `EINTR`, `ENOMEM`, `EDEADLK` (it would have to wait
    /// on an engine's own thread). The sets are as they were then.
    pub fn select(
        &self,
        nfds: i32,
        read: Option<&mut FdSet>,
        write: Option<&mut FdSet>,
        except: Option<&mut FdSet>,
        timeout: Option<&mut Duration>,
    ) -> Result<usize> {
        let mut sets = [read, write, except].map(|set| set.map(|set| &mut set.words));
        let asked = sets.each_ref().map(|set| set.as_ref().map(|words| **words));
        let clock = &self.engine().shard().clock;
        let began = clock.now();
        let mut left = None;
        let found = wait(self.engine(), timeout.as_deref().copied(), |timeout| {
            // The kernel leaves only what it found.
            restore(&mut sets, asked);
            let mut time = timeout.map(timeval);
            let found = sys::select(nfds, sets.each_mut().map(|set| set.as_deref_mut()), time.as_mut());
            left = time.map(|left| {
                Duration::from_secs(left.tv_sec.try_into().unwrap_or(0))
                    + Duration::from_micros(left.tv_usec.try_into().unwrap_or(0))
            });
            found
        });
        if found == Err(Errno::DEADLK) {
            restore(&mut sets, asked);
        } else if let Some(timeout) = timeout {
            *timeout = match clock.as_virtual() {
                Some(_) => timeout.saturating_sub(clock.now().saturating_since(began)),
                None => left.unwrap_or(*timeout),
            };
        }
        found
    }
}

/// The sets as they were handed in.
fn restore(sets: &mut [Option<&mut SetWords>; 3], asked: [Option<SetWords>; 3]) {
    for (set, asked) in sets.iter_mut().zip(asked) {
        if let (Some(set), Some(asked)) = (set, asked) {
            **set = asked;
        }
    }
}

/// Rounded up: never less than was asked for.
fn timeval(timeout: Duration) -> libc::timeval {
    let micros = timeout.subsec_nanos().div_ceil(1000);
    let seconds = timeout.as_secs() + u64::from(micros / 1_000_000);
    libc::timeval {
        tv_sec: libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX),
        tv_usec: (micros % 1_000_000) as libc::suseconds_t,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_that_does_not_fit() {
        let mut set = FdSet::new();
        for fd in [0, 63, 64, 1023] {
            set.insert(fd).unwrap();
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 1023]);
        for fd in [-1, 1024, i32::MAX, i32::MIN] {
            assert_eq!(set.insert(fd), Err(Errno::INVAL));
            assert!(!set.contains(fd));
            set.remove(fd);
        }
        set.remove(63);
        assert_eq!(format!("{set:?}"), "{0, 64, 1023}");
        assert!(!set.is_empty());
        set.clear();
        assert!(set.is_empty());
    }

    #[test]
    fn a_timeout_is_rounded_up() {
        let of = |seconds, nanos| {
            let time = timeval(Duration::new(seconds, nanos));
            (time.tv_sec, time.tv_usec)
        };
        assert_eq!(of(0, 0), (0, 0));
        assert_eq!(of(1, 1), (1, 1));
        assert_eq!(of(1, 999_999_001), (2, 0));
        assert_eq!(of(u64::MAX, 0).0, libc::time_t::MAX);
    }
}

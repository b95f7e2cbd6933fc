//! Memory for small packets side by side.

#[cfg(feature = "uring")]
use std::{io, mem, ops::Range, os::fd::BorrowedFd};

#[cfg(feature = "uring")]
use rustix::io::Errno;

#[cfg(feature = "uring")]
use super::ring::Ring;

/// Places begin where lines of the cache do.
const LINE: usize = 64;

/// Places for small packets.
#[derive(Debug)]
pub(super) struct Room {
    /// None where the ring has it.
    memory: Box<[u8]>,
    /// From place to place, octets.
    stride: usize,
    /// What a packet may have.
    size: usize,
    #[cfg(feature = "uring")]
    reads: Reads,
}

/// Whether the kernel fills many places at once.
#[cfg(feature = "uring")]
#[derive(Debug)]
enum Reads {
    Untried,
    AtOnce(Box<Ring>),
    /// It does not do that here.
    OneByOne,
}

impl Room {
    /// So many places, for packets of `size` octets.
    pub(super) fn new(places: usize, size: usize) -> Self {
        let stride = size.next_multiple_of(LINE).max(LINE);
        Self {
            memory: vec![0; places * stride].into(),
            stride,
            size,
            #[cfg(feature = "uring")]
            reads: Reads::Untried,
        }
    }

    /// A place.
    pub(super) fn place(&self, n: usize) -> &[u8] {
        #[cfg(feature = "uring")]
        if let Reads::AtOnce(ring) = &self.reads {
            return &ring.memory()[n * self.stride..][..self.size];
        }
        &self.memory[n * self.stride..][..self.size]
    }

    /// The same, to be filled.
    pub(super) fn place_mut(&mut self, n: usize) -> &mut [u8] {
        #[cfg(feature = "uring")]
        if let Reads::AtOnce(ring) = &mut self.reads {
            return &mut ring.memory_mut()[n * self.stride..][..self.size];
        }
        &mut self.memory[n * self.stride..][..self.size]
    }

    /// Reads a packet to each of these places in one call and without waiting, and gives what each read said: octets, or the
    /// negative of an error. `None` where that cannot be: they are to be filled one by one.
    #[cfg(feature = "uring")]
    pub(super) fn read(&mut self, from: BorrowedFd<'_>, places: Range<usize>) -> Option<&[i32]> {
        if matches!(self.reads, Reads::Untried) {
            match Ring::new(mem::take(&mut self.memory), self.stride, self.size) {
                Ok(ring) => self.reads = Reads::AtOnce(Box::new(ring)),
                Err((memory, e)) => self.refused(memory, &e),
            }
        }
        let Reads::AtOnce(ring) = &mut self.reads else { return None };
        if let Err(e) = ring.read(from, places).and_then(|()| usable(ring.results())) {
            if let Reads::AtOnce(ring) = mem::replace(&mut self.reads, Reads::OneByOne) {
                self.refused(ring.into_memory(), &e);
            }
            return None;
        }
        let Reads::AtOnce(ring) = &self.reads else { return None };
        Some(ring.results())
    }

    /// Whether it is tried, and was not found to be impossible.
    #[cfg(feature = "uring")]
    pub(super) const fn may_read_at_once(&self) -> bool {
        !matches!(self.reads, Reads::OneByOne)
    }

    #[cfg(feature = "uring")]
    fn refused(&mut self, memory: Box<[u8]>, e: &io::Error) {
        tracing::debug!("packets are read one by one: no io_uring: {e}");
        (self.memory, self.reads) = (memory, Reads::OneByOne);
    }
}

#[cfg(all(test, feature = "uring"))]
impl Room {
    /// Whether the kernel fills many places at once, as far as is known.
    pub(super) fn reads_at_once(&self) -> bool {
        matches!(self.reads, Reads::AtOnce(_))
    }
}

/// Whether such reads can be made at all. A kernel that does not know them for this descriptor says so of each; and who is
/// told that the device is gone by one read for itself knows it for certain.
#[cfg(feature = "uring")]
fn usable(results: &[i32]) -> io::Result<()> {
    let error =
        |result: i32| result < 0 && ![Errno::AGAIN, Errno::INTR].contains(&Errno::from_raw_os_error(-result));
    match results.first() {
        Some(first) if results.iter().all(|result| error(*result)) => {
            Err(io::Error::from_raw_os_error(-first))
        }
        _ => Ok(()),
    }
}

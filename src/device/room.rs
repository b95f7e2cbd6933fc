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
    memory: Memory,
    /// From place to place, octets.
    stride: usize,
    /// What a packet may have.
    size: usize,
}

#[derive(Debug)]
enum Memory {
    /// Nobody has asked for more.
    Own(Box<[u8]>),
    /// Known to the kernel, which fills many places at once.
    #[cfg(feature = "uring")]
    Pinned(Box<Ring>),
    /// The kernel does not do that here.
    #[cfg(feature = "uring")]
    Refused(Box<[u8]>),
}

impl Room {
    /// So many places, for packets of `size` octets.
    pub(super) fn new(places: usize, size: usize) -> Self {
        let stride = size.next_multiple_of(LINE).max(LINE);
        Self { memory: Memory::Own(vec![0; places * stride].into()), stride, size }
    }

    /// A place.
    pub(super) fn place(&self, n: usize) -> &[u8] {
        let memory = match &self.memory {
            Memory::Own(memory) => memory,
            #[cfg(feature = "uring")]
            Memory::Refused(memory) => memory,
            #[cfg(feature = "uring")]
            Memory::Pinned(ring) => ring.memory(),
        };
        &memory[n * self.stride..][..self.size]
    }

    /// The same, to be filled.
    pub(super) fn place_mut(&mut self, n: usize) -> &mut [u8] {
        let memory = match &mut self.memory {
            Memory::Own(memory) => memory,
            #[cfg(feature = "uring")]
            Memory::Refused(memory) => memory,
            #[cfg(feature = "uring")]
            Memory::Pinned(ring) => ring.memory_mut(),
        };
        &mut memory[n * self.stride..][..self.size]
    }

    /// Reads a packet to each of these places in one call and without waiting, and gives what each read said: octets, or the
    /// negative of an error. `None` where that cannot be: they are to be filled one by one.
    #[cfg(feature = "uring")]
    pub(super) fn read(&mut self, from: BorrowedFd<'_>, places: Range<usize>) -> Option<&[i32]> {
        if let Memory::Own(memory) = &mut self.memory {
            self.memory = match Ring::new(mem::take(memory), self.stride, self.size) {
                Ok(ring) => Memory::Pinned(Box::new(ring)),
                Err((memory, e)) => refused(memory, &e),
            };
        }
        let Memory::Pinned(ring) = &mut self.memory else { return None };
        if let Err(e) = ring.read(from, places).and_then(|()| usable(ring.results())) {
            let Memory::Pinned(ring) = mem::replace(&mut self.memory, Memory::Own(Box::default())) else {
                return None;
            };
            self.memory = refused(ring.into_memory(), &e);
            return None;
        }
        let Memory::Pinned(ring) = &self.memory else { return None };
        Some(ring.results())
    }
}

#[cfg(all(test, feature = "uring"))]
impl Room {
    /// Whether the kernel fills many places at once, as far as is known.
    pub(super) fn reads_at_once(&self) -> bool {
        matches!(self.memory, Memory::Pinned(_))
    }
}

#[cfg(feature = "uring")]
fn refused(memory: Box<[u8]>, e: &io::Error) -> Memory {
    tracing::debug!("packets are read one by one: no io_uring: {e}");
    Memory::Refused(memory)
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

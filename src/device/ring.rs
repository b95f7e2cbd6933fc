//! Many packets read from a descriptor in one call: an io_uring into memory that the kernel holds pinned.
//!
//! What the kernel saves by that is less the calls than the way each octet takes: it writes to pinned memory as to its
//! own. A read of 1,500 octets takes two thirds of the time.
#![allow(unsafe_code)]

mod pool;

use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use rustix::io::Errno;

use pool::{Pool, Used};

/// Reads that are asked for in one call at the most.
pub(super) const MOST: usize = 64;

/// The position of what has none.
const NO_POSITION: u64 = u64::MAX;

static POOL: Pool = Pool::new();

/// A ring, and the memory that it reads into.
pub(super) struct Ring {
    /// None once it works no more.
    used: Option<Used>,
    pool: &'static Pool,
    memory: Box<[u8]>,
    /// From place to place, and what each read may have: octets.
    stride: usize,
    size: usize,
    /// What the last call brought to each of its places: as a system call says it.
    results: [i32; MOST],
    count: usize,
}

impl Ring {
    /// A ring for that memory: places of `stride` octets, of which a packet may have `size`. The memory comes back where
    /// there can be none: the kernel has none, does not allow it, or may not pin so much.
    pub(super) fn new(memory: Box<[u8]>, stride: usize, size: usize) -> Result<Self, (Box<[u8]>, io::Error)> {
        Self::of(&POOL, memory, stride, size)
    }

    fn of(
        pool: &'static Pool,
        mut memory: Box<[u8]>,
        stride: usize,
        size: usize,
    ) -> Result<Self, (Box<[u8]>, io::Error)> {
        debug_assert!((1..=stride).contains(&size), "{size} octets of {stride}");
        let whole = libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: memory.len() };
        loop {
            let used = match pool.take() {
                Ok(used) => used,
                Err(e) => return Err((memory, e)),
            };
            // SAFETY: the memory is owned by what owns the ring, is never moved or made anew, and outlives its registration,
            // which `drop` ends. The kernel writes to it for the reads of `read` alone, all of which have ended when that
            // returns.
            match unsafe { used.uring.submitter().register_buffers(&[whole]) } {
                Ok(()) => {
                    let (results, count) = ([0; MOST], 0);
                    return Ok(Self { used: Some(used), pool, memory, stride, size, results, count });
                }
                // The program has closed what it did not know since somebody used it.
                Err(e) if is_no_ring(&e) => used.abandon(),
                Err(e) => {
                    pool.give_back(used);
                    return Err((memory, e));
                }
            }
        }
    }

    /// The memory.
    pub(super) fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// The same, to be written to.
    pub(super) fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// What each read of the last call said: octets, or the negative of an error. Later ones than the first that found
    /// nothing may have a packet: it came meanwhile.
    pub(super) fn results(&self) -> &[i32] {
        &self.results[..self.count]
    }

    /// Its memory, without it.
    pub(super) fn into_memory(mut self) -> Box<[u8]> {
        mem::take(&mut self.memory)
    }

    /// Reads a packet to each of these places, without waiting. Where the ring fails meanwhile, what it has read is kept, and
    /// there are results no further than that.
    ///
    /// # Errors
    /// The kernel does not take the reads, and took none of them. The ring is of no more use.
    pub(super) fn read(&mut self, from: BorrowedFd<'_>, places: Range<usize>) -> io::Result<()> {
        self.read_by(from, places, |uring, count| uring.submit_and_wait(count))
    }

    /// The same, where `enter` has the kernel take what is asked for and waits until so many reads have ended.
    fn read_by(
        &mut self,
        from: BorrowedFd<'_>,
        places: Range<usize>,
        mut enter: impl FnMut(&IoUring, usize) -> io::Result<usize>,
    ) -> io::Result<()> {
        let count = places.len().min(MOST);
        let wanted = self.memory.get_mut(places.start * self.stride..(places.start + count) * self.stride);
        let (Some(wanted), Ok(len)) = (wanted, u32::try_from(self.size)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // By a ring of its parent's a forked child would have the kernel write to the parent's memory.
        let Some(used) = self.used.as_mut().filter(|used| used.is_own()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        self.count = count;
        let results = &mut self.results[..count];
        results.fill(Errno::CANCELED.raw_os_error().wrapping_neg());
        let mut queue = used.uring.submission();
        for (n, place) in wanted.chunks_exact_mut(self.stride).enumerate() {
            let read = opcode::ReadFixed::new(Fd(from.as_raw_fd()), place.as_mut_ptr(), len, 0)
                .offset(NO_POSITION)
                // Nothing is left waiting, whatever the descriptor's own mode is.
                .rw_flags(libc::RWF_NOWAIT)
                .build()
                .user_data(n as u64);
            // SAFETY: `place` lies in the memory that was registered and stays there as long as the ring. No reference to it
            // is used until the read has ended: `self` is borrowed alone, and below all reads are waited for. The
            // descriptor is open as long as that takes.
            if unsafe { queue.push(&read) }.is_err() {
                break;
            }
        }
        let asked = queue.len();
        drop(queue);
        let (mut ended, mut reached) = (0, 0);
        while ended < asked {
            let (mut waited, before) = (enter(&used.uring, asked - ended), ended);
            for completion in used.uring.completion() {
                ended += 1;
                let n = completion.user_data() as usize;
                if let Some(result) = results.get_mut(n) {
                    (*result, reached) = (completion.result(), reached.max(n + 1));
                }
            }
            if ended == before && matches!(waited, Ok(0)) {
                // It neither takes nor ends any: nor would it the next time.
                waited = Err(io::Error::other("an io_uring does nothing"));
            }
            match waited {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    self.fail(asked - ended);
                    self.count = reached;
                    return if ended == 0 { Err(e) } else { Ok(()) };
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The ring works no more, and so many reads were asked for of which nothing is known.
    fn fail(&mut self, unknown: usize) {
        let Some(mut used) = self.used.take() else { return };
        let under_way = unknown.saturating_sub(used.uring.submission().len());
        if under_way > 0 {
            // The kernel ends a read that does not wait in the call in which it takes it: there should be none. But their
            // memory would be the kernel's now, for good; what earlier ones brought is not.
            let copy = self.memory.clone();
            mem::forget(mem::replace(&mut self.memory, copy));
        }
        tracing::debug!("an io_uring works no more, with {under_way} reads under way");
        used.abandon();
    }
}

/// Whether the descriptor of a ring is another's by now, or nobody's.
fn is_no_ring(e: &io::Error) -> bool {
    [Errno::BADF, Errno::OPNOTSUPP].map(|errno| Some(errno.raw_os_error())).contains(&e.raw_os_error())
}

impl Drop for Ring {
    fn drop(&mut self) {
        let Some(used) = self.used.take() else { return };
        // No read is under way, so that nothing is written to the memory however this ends.
        if used.is_own() && used.uring.submitter().unregister_buffers().is_ok() {
            self.pool.give_back(used);
        } else {
            used.abandon();
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("memory", &self.memory.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, RawFd};
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use rustix::event::{Timespec, epoll};

    use super::*;

    /// `IORING_ENTER_GETEVENTS`.
    const GET_EVENTS: u32 = 1;

    fn ring(places: usize) -> Option<Ring> {
        ring_of(&POOL, places)
    }

    fn ring_of(pool: &'static Pool, places: usize) -> Option<Ring> {
        let (none, _far) = UnixDatagram::pair().unwrap();
        let ring = Ring::of(pool, vec![0; 8 * places].into(), 8, 7).map_err(|(_, e)| e);
        // A filter may allow to make one and refuse its use.
        let tried = ring.and_then(|mut ring| ring.read(none.as_fd(), 0..1).map(|()| ring));
        tried.map_err(|e| println!("skipped: this kernel gives no io_uring: {e}")).ok()
    }

    fn number(ring: &Ring) -> RawFd {
        ring.used.as_ref().unwrap().uring.as_raw_fd()
    }

    /// Another file in place of a ring.
    fn replace(number: RawFd) {
        let other = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: the number is the ring's own, and stays open, for another file: nobody else closes or uses it.
        assert!(unsafe { libc::dup3(other.as_raw_fd(), number, libc::O_CLOEXEC) } >= 0);
    }

    #[test]
    fn each_place_has_its_packet_and_the_rest_have_none() {
        let Some(mut ring) = ring(5) else { return };
        let (near, far) = UnixDatagram::pair().unwrap();
        for text in ["one", "two", "three and more"] {
            far.send(text.as_bytes()).unwrap();
        }
        let none = -Errno::AGAIN.raw_os_error();
        ring.read(near.as_fd(), 1..5).unwrap();
        assert_eq!(ring.results(), [3, 3, 7, none]);
        assert_eq!(ring.memory(), b"\0\0\0\0\0\0\0\0one\0\0\0\0\0two\0\0\0\0\0three a\0\0\0\0\0\0\0\0\0");
        ring.read(near.as_fd(), 0..1).unwrap();
        assert_eq!(ring.results(), [none]);
    }

    #[test]
    fn errors_are_told_of_each_read() {
        let Some(mut ring) = ring(2) else { return };
        let (near, _far) = UnixStream::pair().unwrap();
        let directory = std::fs::File::open("/").unwrap();
        ring.read(directory.as_fd(), 0..2).unwrap();
        assert_eq!(ring.results(), [-libc::EOPNOTSUPP; 2]);
        ring.read(near.as_fd(), 0..1).unwrap();
        assert_eq!(ring.results(), [-libc::EAGAIN]);
    }

    /// As where a filter of system calls was set up since, or the program has closed what it does not know.
    #[test]
    fn one_that_works_no_more_says_so_and_gives_back_what_was_read() {
        static POOL: Pool = Pool::new();
        let Some(mut ring) = ring_of(&POOL, 2) else { return };
        let (near, far) = UnixDatagram::pair().unwrap();
        far.send(b"one").unwrap();
        ring.read(near.as_fd(), 0..1).unwrap();
        replace(number(&ring));
        far.send(b"two").unwrap();
        ring.read(near.as_fd(), 1..2).unwrap_err();
        assert_eq!(&ring.into_memory()[..], b"one\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 3, "it is there for who reads it otherwise");
    }

    /// A ring that is closed ends them as a signal does.
    #[test]
    fn the_sleeps_of_who_has_read_by_a_ring_outlast_it() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let (hand, take) = std::sync::mpsc::channel::<Ring>();
        let (back, ended) = std::sync::mpsc::channel();
        let (slept, awake) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let watch = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
                epoll::add(&watch, &near, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
                for mut ring in take {
                    ring.read(near.as_fd(), 0..1).unwrap();
                    back.send(ring).unwrap();
                    // Unlike `ppoll` it is not begun anew where no handler ran.
                    let sleep = |limit: Option<&Timespec>| {
                        let mut room = [MaybeUninit::uninit()];
                        epoll::wait(&watch, &mut room, limit).map(|(events, _)| events.len())
                    };
                    // The kernel comes to it some milliseconds later.
                    let limit = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
                    assert_eq!(sleep(Some(&limit)), Ok(0), "nobody has sent a signal");
                    slept.send(()).unwrap();
                    assert_eq!(sleep(None), Ok(1), "nor since");
                    assert_eq!(near.recv(&mut [0; 8]).unwrap(), 1);
                }
            });
            for _ in 0..4 {
                let Some(ring) = ring(1) else { return };
                hand.send(ring).unwrap();
                drop(ended.recv().unwrap());
                awake.recv().unwrap();
                assert_eq!(far.send(b".").unwrap(), 1);
            }
            drop(hand);
        });
    }

    /// As where the kernel has no memory for more, after some.
    #[test]
    fn what_was_read_before_it_failed_is_kept() {
        static POOL: Pool = Pool::new();
        let Some(mut ring) = ring_of(&POOL, 5) else { return };
        let (near, far) = UnixDatagram::pair().unwrap();
        for text in ["one", "two", "six"] {
            assert_eq!(far.send(text.as_bytes()).unwrap(), 3);
        }
        let mut calls = 0;
        let read = ring.read_by(near.as_fd(), 1..5, |uring, _| {
            calls += 1;
            // SAFETY: as many as there are in the queue at least, and no argument.
            let two = || unsafe { uring.submitter().enter::<libc::sigset_t>(2, 2, GET_EVENTS, None) };
            if calls == 1 { two() } else { Err(Errno::AGAIN.into()) }
        });
        read.unwrap();
        assert_eq!((ring.results(), calls), (&[3, 3][..], 2));
        assert_eq!(&ring.memory()[8..24], b"one\0\0\0\0\0two\0\0\0\0\0");
        ring.read(near.as_fd(), 3..5).unwrap_err();
        assert_eq!(&ring.into_memory()[8..24], b"one\0\0\0\0\0two\0\0\0\0\0");
        let mut rest = [0; 8];
        assert_eq!((near.recv(&mut rest).unwrap(), &rest[..3]), (3, &b"six"[..]));
    }

    #[test]
    fn one_that_does_nothing_is_not_asked_without_end() {
        static POOL: Pool = Pool::new();
        let Some(mut ring) = ring_of(&POOL, 2) else { return };
        let (near, far) = UnixDatagram::pair().unwrap();
        far.send(b"one").unwrap();
        let mut calls = 0;
        let read = ring.read_by(near.as_fd(), 0..2, |_, _| {
            calls += 1;
            assert!(calls < 9);
            Ok(0)
        });
        assert!(read.is_err());
        assert_eq!((calls, &ring.into_memory()[..]), (1, &[0; 16][..]));
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 3, "it is there for who reads it otherwise");
    }

    #[test]
    fn an_idle_one_that_the_program_has_closed_is_not_used() {
        static POOL: Pool = Pool::new();
        let Some(ring) = ring_of(&POOL, 1) else { return };
        let closed = number(&ring);
        drop(ring);
        replace(closed);
        let ring = ring_of(&POOL, 1).unwrap();
        assert_ne!(number(&ring), closed);
        drop(ring);
    }

    #[test]
    fn one_whose_memory_goes_is_used_again_and_has_none() {
        static POOL: Pool = Pool::new();
        let Some(ring) = ring_of(&POOL, 1) else { return };
        let first = number(&ring);
        assert_eq!(ring.into_memory().len(), 8);
        // The kernel refuses a second memory beside a first.
        let second = ring_of(&POOL, 3).unwrap();
        assert_eq!((number(&second), second.memory().len()), (first, 24));
        // One that was closed and one that was made since have the same number, too.
        assert_eq!(POOL.made(), 1);
    }

    #[test]
    fn a_child_does_not_read_by_its_parents() {
        static POOL: Pool = Pool::new();
        let Some(mut ring) = ring_of(&POOL, 1) else { return };
        let (near, far) = UnixDatagram::pair().unwrap();
        far.send(b"one").unwrap();
        ring.used.as_mut().unwrap().be_a_parents();
        ring.read(near.as_fd(), 0..1).unwrap_err();
        assert_eq!(&ring.into_memory()[..], [0; 8]);
        assert_eq!(near.recv(&mut [0; 8]).unwrap(), 3, "it is there for who reads it otherwise");
    }

    #[test]
    fn no_place_lies_outside() {
        let Some(mut ring) = ring(2) else { return };
        let (near, _far) = UnixDatagram::pair().unwrap();
        let refused = ring.read(near.as_fd(), 1..3).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}

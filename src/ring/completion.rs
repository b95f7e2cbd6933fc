//! Completions, and the queue in which they wait for the program.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use rustix::io::Errno;

use crate::bsd::abi::MsgFlags;

bitflags::bitflags! {
    /// What a completion tells beside its result (`IORING_CQE_F_…`). The upper 16 bits are a buffer's number.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct CompletionFlags: u32 {
        /// It brings a buffer of a group, with its number in the upper 16 bits.
        const BUFFER = 1 << 0;
        /// More completions of the same entry follow.
        const MORE = 1 << 1;
        /// The socket had more to receive.
        const SOCK_NONEMPTY = 1 << 2;
        /// The number of the buffer.
        const _ = !0;
    }
}

impl CompletionFlags {
    pub(super) fn buffer(id: u16) -> Self {
        Self::BUFFER | Self::from_bits_retain(u32::from(id) << 16)
    }
}

/// What a completion hands back: the buffers of its entry, or one of a group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Buffer {
    /// The entry had none.
    #[default]
    None,
    /// That of `recv` or `read`, or one of a group: as long as it was, filled from its beginning.
    Received(Vec<u8>),
    /// Those of `recvmsg`.
    ReceivedParts(Vec<Vec<u8>>),
    /// The data of `send` or `write`, all of it.
    Sent(Bytes),
    /// The data of `sendmsg`.
    SentParts(Vec<Bytes>),
}

/// What became of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Completion {
    /// That of the entry.
    pub user_data: u64,
    /// What the call gives: 0 or more, or the negative errno.
    pub result: i32,
    /// What it tells beside.
    pub flags: CompletionFlags,
    /// The peer of an accepted connection, the sender of a datagram.
    pub address: Option<SocketAddr>,
    /// The flags that `recvmsg` gives: `MSG_TRUNC` where a datagram was cut.
    pub message: MsgFlags,
    /// What comes back.
    pub buffer: Buffer,
}

impl Completion {
    pub(super) fn new(user_data: u64, result: i32) -> Self {
        Self {
            user_data,
            result,
            flags: CompletionFlags::empty(),
            address: None,
            message: MsgFlags::empty(),
            buffer: Buffer::None,
        }
    }

    /// The result as Rust has it.
    ///
    /// # Errors
    /// What the operation failed with; `ECANCELED` where it was cancelled.
    pub fn to_result(&self) -> Result<u32, Errno> {
        u32::try_from(self.result).map_err(|_| Errno::from_raw_os_error(-self.result))
    }

    /// Whether more completions of the same entry follow.
    pub const fn more(&self) -> bool {
        self.flags.contains(CompletionFlags::MORE)
    }

    /// The number of the group's buffer that it brings.
    pub fn buffer_id(&self) -> Option<u16> {
        let id = (self.flags.bits() >> 16) as u16;
        self.flags.contains(CompletionFlags::BUFFER).then_some(id)
    }

    /// The octets that were received into one buffer.
    pub fn data(&self) -> &[u8] {
        match &self.buffer {
            Buffer::Received(buffer) => &buffer[..self.received().min(buffer.len())],
            _ => &[],
        }
    }

    /// The buffer cut to the octets that were received; empty where there is none.
    pub fn into_data(self) -> Vec<u8> {
        let received = self.received();
        let mut buffer = self.into_buffer();
        buffer.truncate(received);
        buffer
    }

    /// The buffer into which was received, as long as it was given; empty where there is none.
    pub fn into_buffer(self) -> Vec<u8> {
        match self.buffer {
            Buffer::Received(buffer) => buffer,
            _ => Vec::new(),
        }
    }

    fn received(&self) -> usize {
        usize::try_from(self.result).unwrap_or(0)
    }
}

/// The completion queue: as many as it was made for, and behind them those that found it full.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Completion>,
    overflow: VecDeque<Completion>,
    capacity: usize,
    /// Those of timeouts not counted.
    posted: u64,
    overflowed: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: VecDeque::new(), overflow: VecDeque::new(), capacity, posted: 0, overflowed: 0 }
    }

    /// Takes a completion in, whatever there is of room.
    pub(super) fn post(&mut self, completion: Completion, counts: bool) {
        self.posted += u64::from(counts);
        if self.is_full() {
            self.overflowed += 1;
            self.overflow.push_back(completion);
        } else {
            self.waiting.push_back(completion);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Completion> {
        let first = self.waiting.pop_front();
        self.waiting.extend(self.overflow.pop_front());
        first
    }

    /// Whether what is posted now goes to the overflow list.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.capacity
    }

    /// Completions that wait, overflow and all.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.overflow.len()
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether completions wait that found the queue full.
    pub(super) fn overflows(&self) -> bool {
        !self.overflow.is_empty()
    }

    /// How many found it full so far.
    pub(super) const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// How many were posted so far, those of timeouts aside.
    pub(super) const fn posted(&self) -> u64 {
        self.posted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_keeps_the_order() {
        let mut queue = Queue::new(2);
        let mut taken = Vec::new();
        for n in 0..10 {
            queue.post(Completion::new(n, 0), true);
            assert_eq!(queue.overflows(), queue.len() > 2);
            if n % 3 == 0 {
                taken.extend(queue.pop().map(|c| c.user_data));
            }
        }
        taken.extend(std::iter::from_fn(|| queue.pop()).map(|c| c.user_data));
        assert_eq!(taken, (0..10).collect::<Vec<_>>());
        assert!(!queue.overflows() && queue.len() == 0 && queue.overflowed() > 0);
    }

    #[test]
    fn a_result_is_a_count_or_an_errno() {
        let mut completion = Completion::new(1, 3);
        completion.buffer = Buffer::Received(vec![7; 8]);
        assert_eq!((completion.to_result(), completion.data()), (Ok(3), &[7; 3][..]));
        assert_eq!(completion.clone().into_buffer().len(), 8);
        completion.result = -libc::ECANCELED;
        assert_eq!((completion.to_result(), completion.data()), (Err(Errno::CANCELED), &[][..]));
        completion.flags = CompletionFlags::buffer(0xffff);
        assert_eq!((completion.buffer_id(), completion.more()), (Some(0xffff), false));
    }
}

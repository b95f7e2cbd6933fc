//! What a program does with one connection, as two lists of steps: one for writing, one for reading.

use tunstack_core::time::{Duration, Instant};

/// What a program does with one connection. The two lists are walked side by side, each at its own pace;
/// when both are at their end, [`End`] follows. An error ends both at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Behaviour {
    /// What is written, and when.
    pub write: Vec<WriteStep>,
    /// What is read, and when.
    pub read: Vec<ReadStep>,
    /// How it ends.
    pub end: End,
    /// The sizes of the writes, used in turn; each is a limit for one call. Empty: 16 KiB.
    pub write_sizes: Vec<usize>,
    /// The sizes of the buffers to read into, used in turn. Empty: 16 KiB.
    pub read_sizes: Vec<usize>,
    /// Hand octets over and take them without a copy, where the stack has calls for that.
    pub zero_copy: bool,
    /// What the octets depend on, beside the connection: the same at both ends.
    pub seed: u64,
}

/// A step of the writing side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteStep {
    /// Write so many octets.
    Send(u64),
    /// Do nothing for a time.
    Pause(Duration),
    /// Do nothing until a time.
    Until(Instant),
    /// Wait until so many octets have been read in all.
    AwaitReceived(u64),
    /// Wait for the peer's end of file.
    AwaitEof,
    /// Shut the writing side down: a FIN follows the data.
    Shutdown,
}

/// A step of the reading side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadStep {
    /// Read and check so many octets; an end of file before that ends the reading.
    Receive(u64),
    /// Read and check up to the end of file.
    ToEnd,
    /// Do nothing for a time.
    Pause(Duration),
    /// Do nothing until a time.
    Until(Instant),
    /// Wait until so many octets have been written in all.
    AwaitSent(u64),
}

/// How a program gives a connection up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Close. With data unread this resets (RFC 9293 §3.6.1).
    Close,
    /// Abort, then close.
    Abort,
    /// Set the linger time to zero, then close.
    LingerZero,
    /// Never: the connection stays, and the program counts as done.
    Keep,
}

impl Behaviour {
    fn of(write: impl Into<Vec<WriteStep>>, read: impl Into<Vec<ReadStep>>, end: End) -> Self {
        let (write_sizes, read_sizes) = (Vec::new(), Vec::new());
        Self {
            write: write.into(),
            read: read.into(),
            end,
            write_sizes,
            read_sizes,
            zero_copy: false,
            seed: 0,
        }
    }

    /// Sends and receives so many octets at the same time, half-closes after its last, reads up to the end
    /// of file and closes.
    pub fn exchange(send: u64, receive: u64) -> Self {
        Self::of(
            [WriteStep::Send(send), WriteStep::Shutdown],
            [ReadStep::Receive(receive), ReadStep::ToEnd],
            End::Close,
        )
    }

    /// As `exchange`, but leaves the half-close to the peer: sends on after the peer's end of file.
    pub fn half_close_last(send: u64, receive: u64) -> Self {
        Self::of(
            [WriteStep::AwaitEof, WriteStep::Send(send), WriteStep::Shutdown],
            [ReadStep::Receive(receive), ReadStep::ToEnd],
            End::Close,
        )
    }

    /// Closes as soon as the connection stands.
    pub fn close_at_once() -> Self {
        Self::of([], [], End::Close)
    }

    /// Sends so many octets and closes without reading: the stack has the rest to do.
    pub fn send_and_close(send: u64) -> Self {
        Self::of([WriteStep::Send(send)], [], End::Close)
    }

    /// Resets after so many octets each way, by `how`.
    pub fn reset_after(send: u64, receive: u64, how: End) -> Self {
        Self::of([WriteStep::Send(send)], [ReadStep::Receive(receive)], how)
    }

    /// Lets the peer's octets arrive for `wait` without reading them, and closes, which resets.
    pub fn close_unread(wait: Duration) -> Self {
        Self::of([WriteStep::Pause(wait)], [], End::Close)
    }

    /// Sends and receives so many octets, then closes at a time: given to both ends, their FINs cross.
    pub fn close_at(send: u64, receive: u64, at: Instant) -> Self {
        Self::of([WriteStep::Send(send), WriteStep::Until(at)], [ReadStep::Receive(receive)], End::Close)
    }

    /// Waits for the end of file and closes: what a server does that has nothing to say.
    pub fn sink(receive: u64) -> Self {
        Self::half_close_last(0, receive)
    }

    /// Opens and stays.
    pub fn idle() -> Self {
        Self::of([], [], End::Keep)
    }

    /// The same, with a reader that stops for `pause` once its first [`ReadStep::Receive`] has had `after`
    /// octets.
    #[must_use]
    pub fn pause_reading(mut self, after: u64, pause: Duration) -> Self {
        let first = self.read.iter().position(|s| matches!(s, ReadStep::Receive(_)));
        if let Some(at) = first
            && let ReadStep::Receive(n) = self.read[at]
        {
            let rest = n.saturating_sub(after);
            let steps = [ReadStep::Receive(after.min(n)), ReadStep::Pause(pause), ReadStep::Receive(rest)];
            self.read.splice(at..=at, steps);
        }
        self
    }

    /// The same, writing pieces of these sizes in turn.
    ///
    /// # Panics
    /// If a size is 0.
    #[must_use]
    pub fn write_sizes(mut self, sizes: impl Into<Vec<usize>>) -> Self {
        self.write_sizes = sizes.into();
        assert!(!self.write_sizes.contains(&0), "a write of no octets");
        self
    }

    /// The same, reading into buffers of these sizes in turn.
    ///
    /// # Panics
    /// If a size is 0.
    #[must_use]
    pub fn read_sizes(mut self, sizes: impl Into<Vec<usize>>) -> Self {
        self.read_sizes = sizes.into();
        assert!(!self.read_sizes.contains(&0), "a read of no octets");
        self
    }

    /// The same, by the calls that do not copy.
    #[must_use]
    pub const fn zero_copy(mut self) -> Self {
        self.zero_copy = true;
        self
    }

    /// The same, with other octets.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Octets that are written in all.
    pub fn sends(&self) -> u64 {
        self.write.iter().map(|s| if let WriteStep::Send(n) = s { *n } else { 0 }).sum()
    }

    /// Octets that are read in all, before those that come up to the end of file.
    pub fn receives(&self) -> u64 {
        self.read.iter().map(|s| if let ReadStep::Receive(n) = s { *n } else { 0 }).sum()
    }
}

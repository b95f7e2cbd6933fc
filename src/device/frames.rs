//! Room for a batch of arriving packets, used again and again.
//!
//! The memory of a large packet is lent: the stack keeps the text that lies in it by reference, and so may the
//! program. A slot whose memory is out gets that of an earlier packet which has come back. So a steady flow allocates
//! nothing, and each octet is copied once, by who reads it. Small packets lie side by side and are not lent.

use std::collections::VecDeque;
use std::mem;
#[cfg(feature = "uring")]
use std::os::fd::BorrowedFd;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tunstack_core::packet::{Inbound, Lent, Trust};

#[cfg(feature = "uring")]
use super::ring;
use super::room::Room;

#[cfg(feature = "uring")]
mod trial;

#[cfg(feature = "uring")]
use trial::Trial;

/// Smaller slots are not lent. What fits in them is copied for little, and many small packets are kept in less
/// memory side by side than each in its slot.
const LENT: usize = 16 << 10;

/// Fewer packets than these are read one by one: to ask for several at once costs more than a read or two. Which way takes less
/// is found out with more.
#[cfg(feature = "uring")]
const FEW: usize = 4;

/// The same of small packets. There is little to copy of them, and all else takes a ring longer than a read, most of all where
/// it asks for more than have come.
#[cfg(feature = "uring")]
const FEW_SMALL: usize = 16;

/// Packets are small that have fewer octets on average.
#[cfg(feature = "uring")]
const SMALL: usize = 512;

/// Octets of lent memory that are remembered: what a flow has unread in a window of the usual size.
const REMEMBERED: usize = 4 << 20;

/// How many packets that were lent are looked at for one that has come back. They come back mostly in order;
/// those of a program that does not read must not hide the rest.
const LOOKS: usize = 4;

/// Room for a batch of arriving packets, used again and again.
///
/// Beside its slots it keeps some more that are lent, to use them when they come back: those lent beyond that
/// belong to whom they were lent, and are freed by the last of these.
#[derive(Debug)]
pub struct Frames {
    slots: Vec<Frame>,
    filled: usize,
    /// Octets of the packets in it, and with how many it is full.
    octets: usize,
    most: usize,
    size: usize,
    /// Where small packets lie.
    room: Option<Box<Room>>,
    /// Whether it takes text by reference.
    references: bool,
    /// Memory that was lent when its packet was forgotten, the longest lent first.
    lent: VecDeque<Bytes>,
    /// How many packets came the last time that there were any.
    #[cfg(feature = "uring")]
    burst: usize,
    /// Whether these were small, and for each kind whether many are to be read at once. `None`: nobody has asked for that.
    #[cfg(feature = "uring")]
    were_small: bool,
    #[cfg(feature = "uring")]
    trials: Option<[Trial; 2]>,
}

/// Room for one packet.
#[derive(Debug)]
pub struct Frame {
    /// All of it, however short the packet: so whoever keeps a part sees what that keeps alive. Empty where it was lent
    /// and the slot has not been filled again, and where packets are small.
    memory: Bytes,
    /// The place of a small packet.
    place: usize,
    len: usize,
    /// What of the packet came by reference, behind the rest.
    text: Vec<Lent>,
    /// Whether its checksum needs checking.
    pub trust: Trust,
    /// Not 0: segments of this size were joined.
    pub gso_size: u16,
}

impl Frames {
    /// Room for `count` packets of `size` octets each.
    pub fn new(count: usize, size: usize) -> Self {
        // That of large packets comes when the slot is first filled: of many few are.
        let frame = |place| Frame {
            memory: Bytes::new(),
            place,
            len: 0,
            text: Vec::new(),
            trust: Trust::Verify,
            gso_size: 0,
        };
        Self {
            slots: (0..count).map(frame).collect(),
            filled: 0,
            octets: 0,
            most: usize::MAX,
            size,
            references: false,
            room: (size < LENT).then(|| Box::new(Room::new(count, size))),
            lent: VecDeque::new(),
            #[cfg(feature = "uring")]
            burst: 0,
            #[cfg(feature = "uring")]
            were_small: false,
            #[cfg(feature = "uring")]
            trials: None,
        }
    }

    /// The same, but full as soon as its packets have `octets` together: many small ones, or few large ones.
    #[must_use]
    pub fn within(self, octets: usize) -> Self {
        Self { most: octets, ..self }
    }

    /// The same for who takes text by reference.
    #[must_use]
    pub fn with_references(self) -> Self {
        Self { references: true, ..self }
    }

    /// Whether text may come by reference. Otherwise all of a packet is to lie in its slot.
    pub fn take_references(&self) -> bool {
        self.references
    }

    /// Forgets the packets.
    pub fn clear(&mut self) {
        if self.is_empty() {
            return;
        }
        #[cfg(feature = "uring")]
        {
            (self.burst, self.were_small) = (self.filled, self.are_small());
        }
        if self.room.is_some() && !self.references {
            // Small packets are neither lent nor in pieces.
            (self.filled, self.octets) = (0, 0);
            return;
        }
        for slot in &mut self.slots[..self.filled] {
            slot.text.clear();
            if self.room.is_none() && !slot.memory.is_unique() {
                self.lent.push_back(mem::take(&mut slot.memory));
            }
        }
        let excess = self.lent.len().saturating_sub(REMEMBERED / self.size.max(LENT));
        self.lent.drain(..excess);
        (self.filled, self.octets) = (0, 0);
    }

    /// Fills the next free slot: `fill` writes a packet to the front of the slot's buffer and gives its
    /// length, or `None` when there is none. Gives false when nothing was added: no packet, or no room.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn fill<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<Option<usize>, E>) -> Result<bool, E> {
        if self.is_full() {
            return Ok(false);
        }
        let place = self.place();
        let Some(slot) = self.slots.get_mut(self.filled) else { return Ok(false) };
        if let Some(room) = &mut self.room {
            let Some(len) = fill(room.place_mut(place))? else { return Ok(false) };
            slot.place = place;
            self.add(len.min(self.size));
            return Ok(true);
        }
        let own = mem::take(&mut slot.memory).try_into_mut().ok();
        let mut memory = own.or_else(|| back(&mut self.lent)).unwrap_or_else(|| allocate(self.size));
        let filled = fill(&mut memory);
        let room = memory.len();
        slot.memory = memory.freeze();
        let Some(len) = filled? else { return Ok(false) };
        self.add(len.min(room));
        Ok(true)
    }

    /// The next slot has a packet.
    fn add(&mut self, len: usize) {
        let Some(slot) = self.slots.get_mut(self.filled) else { return };
        (slot.len, slot.trust, slot.gso_size) = (len, Trust::Verify, 0);
        self.filled += 1;
        self.octets = self.octets.saturating_add(len);
    }

    /// Reads many small packets from a descriptor at once, where some have come and more may be there: says how many it
    /// asked for and how many there were. `None`: they are to be read one by one.
    #[cfg(feature = "uring")]
    pub(super) fn read(&mut self, from: BorrowedFd<'_>) -> Option<(usize, usize)> {
        // The first is read for itself: mostly it is the only one, and what is wrong with a device is told by that.
        let few = if self.are_small() { FEW_SMALL } else { FEW };
        if self.is_empty() || self.filled.max(self.burst) < few || self.is_full() {
            return None;
        }
        if !self.trials.get_or_insert_default()[usize::from(self.were_small)].at_once() {
            return None;
        }
        let (had, first) = (self.filled, self.place());
        let left = (self.slots.len() - first).min((self.most - self.octets).div_ceil(self.size.max(1)));
        // As many as the last time and some more; and when these are there, twice as many.
        let asked = (self.burst + 2).saturating_sub(had).max(had).max(2 * FEW).min(left).min(ring::MOST);
        let results = self.room.as_mut()?.read(from, first..first + asked)?;
        // Fewer where it works no more: then the rest is to be read one by one.
        let asked = results.len();
        for (n, result) in results.iter().enumerate() {
            if let (Ok(len), Some(slot)) = (usize::try_from(*result), self.slots.get_mut(self.filled)) {
                (slot.place, slot.len, slot.trust, slot.gso_size) = (first + n, len, Trust::Verify, 0);
                self.filled += 1;
                self.octets = self.octets.saturating_add(len);
            }
        }
        Some((asked, self.filled - had))
    }

    /// Whether what comes next may be a burst that can be read in two ways, one by one or by an io_uring, so that its time is
    /// worth a look at the clock before and after it: see [`took`](Self::took). To be asked after [`clear`](Self::clear), before
    /// the device is read.
    #[must_use]
    pub fn expects_burst(&self) -> bool {
        #[cfg(feature = "uring")]
        let expects = self.trials.is_some()
            && self.burst >= FEW_SMALL
            && self.room.as_ref().is_some_and(|room| room.may_read_at_once());
        #[cfg(not(feature = "uring"))]
        let expects = false;
        expects
    }

    /// All that is in it was read in this time, without waiting for it. From that it finds out which way to read bursts takes less here; until it is
    /// told of some they are read one by one. Sockets do it for themselves; a loop of a program's own can do it so:
    ///
    /// ```
    /// use std::time::Instant;
    /// use tunstack::core::time;
    /// use tunstack::device::{Device, Frames};
    ///
    /// fn take(device: &impl Device, now: time::Instant, frames: &mut Frames) -> std::io::Result<usize> {
    ///     frames.clear();
    ///     let begun = frames.expects_burst().then(Instant::now);
    ///     let count = device.recv(now, frames)?;
    ///     if let Some(begun) = begun {
    ///         frames.took(begun.elapsed());
    ///     }
    ///     Ok(count)
    /// }
    /// ```
    #[cfg_attr(not(feature = "uring"), expect(unused_variables, reason = "there is one way"))]
    pub fn took(&mut self, time: Duration) {
        // The way was chosen for such as came before.
        #[cfg(feature = "uring")]
        if self.expects_burst()
            && self.are_small() == self.were_small
            && let Some(trials) = &mut self.trials
        {
            trials[usize::from(self.were_small)].took(time, self.filled);
        }
    }

    #[cfg(feature = "uring")]
    const fn are_small(&self) -> bool {
        self.octets < self.filled * SMALL
    }

    /// The slot filled last, to set what a device knows of its checksum and size.
    pub fn last_mut(&mut self) -> Option<&mut Frame> {
        self.slots[..self.filled].last_mut()
    }

    /// What of the packet filled last came by reference, behind the rest: of what is given an empty vector is left, with
    /// room for more. Frames that take no [references](Self::take_references) copy it to the slot, and cut what is too much
    /// for that: who looks at their packets sees them whole.
    pub fn append(&mut self, text: &mut Vec<Lent>) {
        if !self.references {
            return self.append_copy(text);
        }
        if let Some(slot) = self.last_mut() {
            mem::swap(&mut slot.text, text);
            let octets: usize = slot.text.iter().map(|lent| lent.octets().len()).sum();
            self.octets = self.octets.saturating_add(octets);
        }
    }

    fn append_copy(&mut self, text: &mut Vec<Lent>) {
        let Some(slot) = self.slots[..self.filled].last_mut() else { return text.clear() };
        let had = slot.len;
        let mut copy = |memory: &mut [u8]| {
            for lent in text.drain(..) {
                let left = memory.get_mut(slot.len..).unwrap_or_default();
                let len = lent.octets().len().min(left.len());
                left[..len].copy_from_slice(&lent.octets()[..len]);
                slot.len += len;
            }
        };
        if let Some(room) = &mut self.room {
            copy(room.place_mut(slot.place));
        } else {
            // Where somebody has it already, it is theirs.
            let memory = mem::take(&mut slot.memory).try_into_mut();
            let mut memory = memory.unwrap_or_else(|theirs| BytesMut::from(&theirs[..]));
            copy(&mut memory);
            slot.memory = memory.freeze();
        }
        self.octets = self.octets.saturating_add(slot.len - had);
    }

    /// How many packets are in it.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Whether it takes no more.
    pub fn is_full(&self) -> bool {
        self.place() == self.slots.len() || self.octets >= self.most
    }

    /// The place of the next packet. One that was asked for in vain stays empty.
    fn place(&self) -> usize {
        self.slots[..self.filled].last().map_or(0, |last| last.place + 1)
    }

    /// The packets, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = Inbound<'_>> {
        self.slots[..self.filled].iter().map(|f| Inbound {
            packet: &self.room.as_ref().map_or(&f.memory[..], |room| room.place(f.place))[..f.len],
            lent: &f.text,
            backing: self.room.is_none().then_some(&f.memory),
            trust: f.trust,
            gso_size: f.gso_size,
        })
    }
}

/// Memory that was lent and that nobody has any more.
fn back(lent: &mut VecDeque<Bytes>) -> Option<BytesMut> {
    (0..LOOKS.min(lent.len())).find_map(|_| match lent.pop_front()?.try_into_mut() {
        Ok(memory) => Some(memory),
        Err(still) => {
            lent.push_back(still);
            None
        }
    })
}

/// Memory of `size` octets that can be lent and taken back without an allocation.
fn allocate(size: usize) -> BytesMut {
    let mut memory = BytesMut::zeroed(size);
    // What was split once is counted by reference, and stays so: otherwise each loan would make the counter anew.
    drop(memory.split_off(size));
    memory
}

#[cfg(test)]
mod tests;

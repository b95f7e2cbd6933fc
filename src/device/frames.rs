//! Room for a batch of arriving packets, used again and again.
//!
//! The memory of a large packet is lent: the stack keeps the text that lies in it by reference, and so may the
//! program. A slot whose memory is out gets that of an earlier packet which has come back. So a steady flow allocates
//! nothing, and each octet is copied once, by who reads it. Small packets lie side by side and are not lent.

use std::collections::VecDeque;
use std::mem;
#[cfg(feature = "uring")]
use std::os::fd::BorrowedFd;

use bytes::{Bytes, BytesMut};
use tunstack_core::packet::{Inbound, Lent, Trust};

#[cfg(feature = "uring")]
use super::ring;
use super::room::Room;

/// Smaller slots are not lent. What fits in them is copied for little, and many small packets are kept in less
/// memory side by side than each in its slot.
const LENT: usize = 16 << 10;

/// Fewer packets than these are read one by one: to ask for several at once costs more than a read or two.
#[cfg(feature = "uring")]
const FEW: usize = 4;

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
            self.burst = self.filled;
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
        if self.is_empty() || self.filled.max(self.burst) < FEW || self.is_full() {
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
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn put(frames: &mut Frames, packet: &[u8]) -> bool {
        let filled = frames.fill(|buffer| {
            buffer[..packet.len()].copy_from_slice(packet);
            Ok::<_, Infallible>(Some(packet.len()))
        });
        filled.unwrap()
    }

    #[test]
    fn frames_hold_what_they_have_room_for() {
        let mut frames = Frames::new(2, 4);
        assert!(frames.is_empty() && !frames.is_full());
        assert!(put(&mut frames, b"one") && put(&mut frames, b"four"));
        assert!(frames.is_full());
        // Not even asked for: a packet read from a device would be lost.
        assert!(!frames.fill(|_| -> Result<_, Infallible> { panic!("no room") }).unwrap());
        let packets: Vec<_> = frames.iter().map(|f| f.packet).collect();
        assert_eq!(packets, [&b"one"[..], b"four"]);
        frames.clear();
        assert!(frames.is_empty());
        assert_eq!(frames.iter().count(), 0);
    }

    #[test]
    fn small_packets_are_many_and_large_ones_few() {
        let mut frames = Frames::new(9, 4).within(8);
        (0..2).for_each(|_| assert!(put(&mut frames, b"four")));
        assert!(frames.is_full() && !put(&mut frames, b""));
        frames.clear();
        (0..8).for_each(|_| assert!(put(&mut frames, b"1")));
        assert!(frames.is_full() && !put(&mut frames, b"1"));
        frames.clear();
        (0..9).for_each(|_| assert!(put(&mut frames, b"")));
        assert!(!put(&mut frames, b""), "no slot");
    }

    /// A packet that is large enough to be lent, full of `octet`.
    fn put_large(frames: &mut Frames, octet: u8) -> Bytes {
        frames.clear();
        assert!(put(frames, &[octet; LENT]));
        let bytes = frames.iter().find_map(|inbound| inbound.backing.cloned());
        bytes.unwrap()
    }

    #[test]
    fn what_is_lent_is_left_alone_until_it_comes_back() {
        let mut frames = Frames::new(8, LENT);
        let first = put_large(&mut frames, 1);
        let at = first.as_ptr();
        let second = put_large(&mut frames, 2);
        assert_ne!(second.as_ptr(), at);
        assert_eq!((first, second.clone()), (vec![1; LENT].into(), vec![2; LENT].into()));
        assert_eq!(put_large(&mut frames, 3).as_ptr(), at);
        assert_eq!(put_large(&mut frames, 4).as_ptr(), at, "the slot's own, which nobody has");
        assert_eq!(frames.lent.len(), 1);
        assert_eq!((second, &frames.lent[0][..]), (vec![2; LENT].into(), &[2; LENT][..]));
    }

    #[test]
    fn small_packets_are_not_lent() {
        let mut frames = Frames::new(1, LENT - 1);
        assert!(put(&mut frames, &[1; LENT - 1]));
        assert!(frames.iter().all(|inbound| inbound.backing.is_none()));
    }

    #[test]
    fn the_whole_slot_is_told_of_however_short_the_packet() {
        let mut frames = Frames::new(1, LENT);
        assert!(put(&mut frames, b"short"));
        let told: Vec<_> = frames.iter().map(|i| (i.packet.len(), i.backing.map(Bytes::len))).collect();
        assert_eq!(told, [(5, Some(LENT))]);
    }

    #[test]
    fn who_keeps_what_was_lent_hides_nothing_from_the_rest() {
        let mut frames = Frames::new(64, LENT);
        let kept: Vec<_> = (0..6).map(|n| put_large(&mut frames, n)).collect();
        // Each is out while the next two come.
        let mut out = VecDeque::new();
        for n in 0..100 {
            out.push_back(put_large(&mut frames, n));
            if out.len() > 2 {
                out.pop_front();
            }
        }
        let there = frames.lent.len();
        assert!(there <= 11, "{there} pieces of memory out: 6 are kept, and 3 go round");
        assert!(kept.iter().zip(0..).all(|(bytes, n)| bytes.iter().all(|&octet| octet == n)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut frames = Frames::new(3, 2 * LENT);
        let mut kept: Vec<_> = (0..150).map(|n| put_large(&mut frames, n)).collect();
        frames.clear();
        assert_eq!(frames.lent.len() * 2 * LENT, REMEMBERED);
        assert!(kept.iter().zip(0..).all(|(bytes, n)| bytes[..LENT].iter().all(|&octet| octet == n)));
        let remembered = |kept: &Vec<Bytes>| kept.iter().filter(|bytes| !bytes.is_unique()).count();
        assert_eq!(remembered(&kept), REMEMBERED / (2 * LENT));
        drop(frames);
        assert_eq!(remembered(&kept), 0);
        kept.clear();
    }

    #[test]
    fn what_comes_by_reference_counts_and_goes_with_its_packet() {
        let mut frames = Frames::new(4, 60).within(100).with_references();
        let text = Bytes::from(vec![7; 60]);
        for n in 0..2 {
            assert!(!frames.is_full() && put(&mut frames, b"head"));
            let mut lent = vec![Lent::from(text.clone())];
            frames.append(&mut lent);
            assert!(lent.is_empty());
            assert_eq!(frames.iter().last().map(|i| i.lent.len()), Some(1), "{n}");
        }
        assert!(frames.is_full());
        frames.clear();
        assert!(text.is_unique());
        assert!(put(&mut frames, b"whole"));
        assert!(frames.iter().all(|inbound| inbound.lent.is_empty()));
    }

    #[test]
    fn what_is_appended_unasked_is_copied() {
        for size in [12, LENT] {
            let mut frames = Frames::new(2, size).within(2 * size);
            let text = Bytes::from(vec![7; size]);
            for (lent, len) in [(&text[..3], 7), (&text[..], size)] {
                assert!(put(&mut frames, b"head"));
                // As of who looks before it was appended.
                let looked = frames.iter().last().and_then(|i| i.backing.cloned());
                let mut lent =
                    vec![Lent::from(text.slice_ref(&lent[..1])), Lent::from(text.slice_ref(&lent[1..]))];
                frames.append(&mut lent);
                let seen = frames.iter().last().unwrap();
                assert_eq!((seen.packet.len(), seen.lent.len(), lent.len()), (len, 0, 0));
                assert_eq!(seen.packet, [b"head", &text[..len - 4]].concat());
                assert!(
                    looked.is_none_or(|looked| looked.len() == size && looked[4..].iter().all(|n| *n == 0))
                );
            }
            assert_eq!(frames.octets, 7 + size);
            assert!(text.is_unique());
        }
        Frames::new(1, 4).append(&mut vec![Lent::from(Bytes::from_static(b"of none"))]);
    }

    #[test]
    fn nothing_and_errors_take_no_slot() {
        let mut frames = Frames::new(2, 4);
        assert!(!frames.fill(|_| Ok::<_, Infallible>(None)).unwrap());
        assert_eq!(frames.fill(|_| Err("broken")), Err("broken"));
        assert_eq!(frames.len(), 0);
        assert!(frames.last_mut().is_none());
    }

    #[test]
    fn what_was_known_of_an_earlier_packet_is_forgotten() {
        let mut frames = Frames::new(1, 4);
        put(&mut frames, b"big");
        let frame = frames.last_mut().unwrap();
        (frame.trust, frame.gso_size) = (Trust::Trusted, 1400);
        let known = |frames: &Frames| frames.iter().map(|f| (f.trust, f.gso_size)).next();
        assert_eq!(known(&frames), Some((Trust::Trusted, 1400)));
        frames.clear();
        put(&mut frames, b"new");
        assert_eq!(known(&frames), Some((Trust::Verify, 0)));
    }

    #[test]
    fn a_length_beyond_the_buffer_is_cut() {
        let mut frames = Frames::new(1, 4);
        frames.fill(|_| Ok::<_, Infallible>(Some(9))).unwrap();
        assert_eq!(frames.iter().map(|f| f.packet.len()).sum::<usize>(), 4);
    }

    #[cfg(feature = "uring")]
    mod at_once {
        use std::io::ErrorKind::WouldBlock;
        use std::os::fd::AsFd;
        use std::os::unix::net::UnixDatagram;

        use super::*;

        /// Reads all that is there as a device does; `None` where this kernel does not read several at once. Says how many
        /// reads each call was asked for.
        fn read_all(frames: &mut Frames, near: &UnixDatagram) -> Option<Vec<usize>> {
            let mut calls = Vec::new();
            loop {
                if let Some((asked, read)) = frames.read(near.as_fd()) {
                    calls.push(asked);
                    if read < asked {
                        return Some(calls);
                    }
                } else if !frames.fill(|to| alone(near, to)).unwrap() {
                    return frames.room.as_ref().is_some_and(|room| room.reads_at_once()).then_some(calls);
                }
            }
        }

        fn alone(near: &UnixDatagram, to: &mut [u8]) -> std::io::Result<Option<usize>> {
            match near.recv(to) {
                Err(e) if e.kind() == WouldBlock => Ok(None),
                other => other.map(Some),
            }
        }

        fn pair() -> (UnixDatagram, UnixDatagram) {
            let (near, far) = UnixDatagram::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            far.set_nonblocking(true).unwrap();
            (near, far)
        }

        fn send(far: &UnixDatagram, numbers: std::ops::Range<u8>) {
            numbers.for_each(|n| {
                assert_eq!(far.send(&vec![n; usize::from(n) + 1]).unwrap(), usize::from(n) + 1)
            });
        }

        fn numbers(frames: &Frames) -> Vec<u8> {
            let whole = |p: &[u8]| p.len() == usize::from(p[0]) + 1 && p.iter().all(|octet| *octet == p[0]);
            frames
                .iter()
                .inspect(|f| assert!(whole(f.packet) && f.backing.is_none()))
                .map(|f| f.packet[0])
                .collect()
        }

        fn skipped() {
            println!("skipped: this kernel does not read several packets at once");
        }

        #[test]
        fn many_are_read_in_few_calls_and_in_order() {
            let (near, far) = pair();
            let mut frames = Frames::new(64, 100);
            // What a socket queues is bounded: so the batches are small.
            send(&far, 0..9);
            let Some(calls) = read_all(&mut frames, &near) else { return skipped() };
            assert_eq!((calls, numbers(&frames)), (vec![8], (0..9).collect()));
            // As many as the last time, and two more: so that it is seen that there are no others.
            frames.clear();
            send(&far, 20..29);
            assert_eq!(read_all(&mut frames, &near), Some(vec![10]));
            assert_eq!(numbers(&frames), (20..29).collect::<Vec<_>>());
            assert!(!frames.is_full());
        }

        #[test]
        fn few_are_read_one_by_one() {
            let (near, far) = pair();
            let mut frames = Frames::new(64, 100);
            for _ in 0..3 {
                frames.clear();
                send(&far, 0..3);
                assert_eq!(read_all(&mut frames, &near), None);
                assert_eq!(numbers(&frames), [0, 1, 2]);
            }
        }

        /// A packet that came between two reads of a call lies behind a place that was asked for in vain.
        #[test]
        fn no_place_is_used_twice() {
            let (near, far) = pair();
            let mut frames = Frames::new(4, 100);
            send(&far, 0..2);
            while frames.fill(|to| alone(&near, to)).unwrap() {}
            frames.room.as_mut().unwrap().place_mut(2)[..2].fill(1);
            frames.slots[1].place = 2;
            send(&far, 2..4);
            while frames.fill(|to| alone(&near, to)).unwrap() {}
            assert_eq!(numbers(&frames), [0, 1, 2]);
            assert!(frames.is_full());
        }

        #[test]
        fn what_comes_later_takes_the_places_behind() {
            let (near, far) = pair();
            let mut frames = Frames::new(12, 100);
            send(&far, 0..6);
            let Some(calls) = read_all(&mut frames, &near) else { return skipped() };
            assert_eq!(calls, [8]);
            send(&far, 6..10);
            assert_eq!(read_all(&mut frames, &near), Some(vec![6]));
            assert_eq!(numbers(&frames), (0..10).collect::<Vec<_>>());
            assert!(!frames.is_full());
            send(&far, 10..13);
            // There is room for two.
            while frames.fill(|to| alone(&near, to)).unwrap() {}
            assert_eq!(numbers(&frames), (0..12).collect::<Vec<_>>());
            assert!(frames.is_full() && frames.read(near.as_fd()).is_none());
        }

        /// A kernel that does not read from this descriptor without waiting says so, and nothing is lost by that.
        #[test]
        fn where_it_cannot_be_they_are_read_one_by_one() {
            let (near, far) = pair();
            let directory = std::fs::File::open("/").unwrap();
            let mut frames = Frames::new(64, 100);
            send(&far, 0..6);
            while frames.len() < 5 && frames.fill(|to| alone(&near, to)).unwrap() {}
            assert_eq!(frames.read(directory.as_fd()), None);
            assert_eq!(numbers(&frames), [0, 1, 2, 3, 4]);
            assert_eq!(read_all(&mut frames, &near), None);
            assert_eq!(numbers(&frames), [0, 1, 2, 3, 4, 5]);
        }
    }
}

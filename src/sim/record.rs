//! What happened in a world: packets as each end saw them, and one number that stands for all of it.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use tunstack_core::packet::{Received, Sent};
use tunstack_core::time::Instant;

use super::link::Fate;

/// Names a peer of a world: its number, in the order they were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerId(pub usize);

/// A packet as one peer saw it.
#[derive(Clone, Debug)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// Who saw it.
    pub peer: PeerId,
    /// The packet.
    pub packet: Bytes,
    /// Which way it went, and what is to be said of it.
    pub note: Note,
}

/// What is to be said of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Note {
    /// It was sent: why, and what the link did to it. Without a link it went nowhere.
    Sent(Option<Sent>, Option<Fate>),
    /// It arrived, and what became of it, if that is known.
    Arrived(Option<Received>),
}

/// One line for a capture's comment; empty where there is nothing to say.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(event, fate) => {
                let mut gap = "";
                if let Some(event) = event {
                    write!(f, "{event}")?;
                    gap = " | ";
                }
                match fate {
                    None => write!(f, "{gap}lost: there is no link"),
                    Some(fate) if !fate.is_plain() => write!(f, "{gap}{fate}"),
                    Some(_) => Ok(()),
                }
            }
            Self::Arrived(None) => Ok(()),
            Self::Arrived(Some(received)) => write!(f, "{received}"),
        }
    }
}

/// The latest packets, as many as fit a number of octets.
#[derive(Debug)]
pub struct Recorder {
    records: VecDeque<Record>,
    octets: usize,
    limit: usize,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { records: VecDeque::new(), octets: 0, limit: 64 << 20 }
    }
}

impl Recorder {
    /// Keeps at most so many octets of packets; 0 keeps none.
    pub fn set_limit(&mut self, octets: usize) {
        self.limit = octets;
        self.trim();
    }

    /// Adds a packet, and forgets the oldest ones that no longer fit.
    pub fn add(&mut self, record: Record) {
        self.octets += record.packet.len();
        self.records.push_back(record);
        self.trim();
    }

    fn trim(&mut self) {
        while self.octets > self.limit
            && let Some(oldest) = self.records.pop_front()
        {
            self.octets -= oldest.packet.len();
        }
    }

    /// The packets that are kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// A pcapng file of what these peers saw, each under its name as an interface.
    ///
    /// Times count from 2025-01-01. More than one viewpoint shows most packets twice.
    #[cfg(feature = "capture")]
    pub fn pcapng(&self, viewpoints: &[(PeerId, &str)]) -> Vec<u8> {
        use crate::pcapng::{CaptureWriter, Direction};
        use std::time::Duration;

        const EPOCH: Duration = Duration::from_secs(1_735_689_600);
        let names: Vec<_> = viewpoints.iter().map(|(_, name)| *name).collect();
        let mut writer = CaptureWriter::new(Vec::new(), &names).expect("memory takes all");
        for record in &self.records {
            let Some(interface) = viewpoints.iter().position(|(id, _)| *id == record.peer) else { continue };
            let at = EPOCH + record.at.saturating_since(Instant::ZERO);
            let direction = match record.note {
                Note::Sent(..) => Direction::Outbound,
                Note::Arrived(_) => Direction::Inbound,
            };
            let comment = record.note.to_string();
            let comment = (!comment.is_empty()).then_some(comment.as_str());
            writer.packet(interface as u32, at, direction, &[&record.packet], comment);
        }
        writer.finish().expect("memory takes all")
    }
}

/// A number that depends on all that was added and on its order. Not for enemies: it tells runs apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceHash(u64);

impl Default for TraceHash {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl TraceHash {
    /// Adds a number.
    pub const fn word(&mut self, word: u64) {
        let product = (self.0 ^ word) as u128 * 0xda94_2042_e4dd_58b5_u128;
        self.0 = (product as u64) ^ ((product >> 64) as u64).rotate_left(29) ^ 0x2545_f491_4f6c_dd1d;
    }

    /// Adds octets and how many they are.
    pub fn octets(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(octets.len() as u64);
    }

    /// The number so far.
    pub const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use tunstack_core::time::Duration;

    use super::super::link::Loss;
    use super::*;

    fn record(len: usize) -> Record {
        let packet = Bytes::from(vec![0; len]);
        Record { at: Instant::ZERO, peer: PeerId(0), packet, note: Note::Arrived(None) }
    }

    #[test]
    fn the_oldest_packets_are_forgotten() {
        let mut recorder = Recorder::default();
        recorder.set_limit(100);
        for len in [60, 30, 10, 1] {
            recorder.add(record(len));
        }
        assert_eq!(recorder.iter().map(|r| r.packet.len()).collect::<Vec<_>>(), [30, 10, 1]);
        recorder.set_limit(0);
        recorder.add(record(5));
        assert_eq!(recorder.iter().count(), 0);
    }

    #[test]
    fn a_note_says_what_a_reader_cannot_see() {
        let plain = Fate {
            loss: None,
            arrival: Instant::ZERO,
            waited: Duration::ZERO,
            held: Duration::ZERO,
            duplicated: false,
            marked: false,
            flipped: None,
        };
        let lost = Fate { loss: Some(Loss::QueueFull), ..plain };
        let odd = Fate { duplicated: true, held: Duration::from_millis(3), ..plain };
        for (note, text) in [
            (Note::Sent(None, Some(plain)), ""),
            (Note::Sent(None, Some(lost)), "dropped: the link's queue was full"),
            (Note::Sent(None, Some(odd)), "duplicated on the link, held back on the link by 3ms"),
            (Note::Sent(None, None), "lost: there is no link"),
            (Note::Arrived(Some(Received::Dropped("bad checksum"))), "dropped: bad checksum"),
            (Note::Arrived(None), ""),
        ] {
            assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn the_hash_tells_order_length_and_every_bit() {
        let of = |parts: &[&[u8]]| {
            let mut hash = TraceHash::default();
            parts.iter().for_each(|p| hash.octets(p));
            hash.value()
        };
        let base = of(&[b"abcdefghij"]);
        assert_eq!(base, of(&[b"abcdefghij"]));
        for other in
            [&[&b"abcdefgh"[..], b"ij"][..], &[b"abcdefghij\0"], &[b"abcdefghji"], &[b"abcdefgh"], &[]]
        {
            assert_ne!(base, of(other));
        }
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        for bit in 0..80 {
            let mut octets = *b"abcdefghij";
            octets[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(base, of(&[&octets]));
        }
    }
}

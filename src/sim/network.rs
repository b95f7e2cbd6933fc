//! What lies between the peers of a world: the clock, the links, and the record of what passed.

use bytes::Bytes;
use tunstack_core::packet::Received;
use tunstack_core::time::Instant;

use super::aqm;
use super::clock::Clock;
use super::host::Outgoing;
use super::link::{Fault, Link};
use super::record::{Note, PeerId, Record, Recorder, TraceHash};

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum Due {
    /// A packet arrives.
    Deliver(PeerId, Bytes),
    /// A peer wanted to be polled.
    Wake(PeerId),
}

/// A packet that a scenario may do something to.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// When it was offered to the link.
    pub at: Instant,
    /// Which packet of this direction it is, from 0.
    pub number: u64,
    /// The packet.
    pub packet: &'a [u8],
}

/// Decides, packet by packet, what a scenario wants to happen.
pub type Scenario = Box<dyn FnMut(Passing<'_>) -> Option<Fault>>;

/// Sees each packet as it is sent or arrives, kept or not.
pub type Observer = Box<dyn FnMut(&Record)>;

/// One direction between two peers.
pub(super) struct Wire {
    pub(super) link: Link,
    pub(super) to: PeerId,
    pub(super) scenario: Option<Scenario>,
}

#[derive(Default)]
pub(super) struct Network {
    pub(super) clock: Clock<Due>,
    /// What each peer sends goes here.
    pub(super) wires: Vec<Option<Wire>>,
    pub(super) recorder: Recorder,
    pub(super) observer: Option<Observer>,
    pub(super) hash: TraceHash,
    /// Packets sent so far.
    pub(super) packets: u64,
}

impl Network {
    /// Puts a packet on its sender's link.
    pub(super) fn send(&mut self, from: PeerId, outgoing: Outgoing) {
        let Outgoing { packet, event } = outgoing;
        let at = self.clock.now();
        self.packets += 1;
        self.hash.word(at.as_nanos());
        self.hash.word(from.0 as u64);
        self.hash.octets(&packet);
        let Some(wire) = self.wires.get_mut(from.0).and_then(Option::as_mut) else {
            return self.note(Record {
                at,
                peer: from,
                packet: packet.into(),
                note: Note::Sent(event, None),
            });
        };
        let passing = Passing { at, number: wire.link.stats().offered, packet: &packet };
        let fault = wire.scenario.as_mut().and_then(|scenario| scenario(passing));
        let fate = wire.link.decide_for(at, packet.len(), aqm::ecn_of(&packet), fault);
        let to = wire.to;
        let note = Note::Sent(event, Some(fate));
        if fate.is_plain() {
            let packet = Bytes::from(packet);
            self.clock.schedule(fate.arrival, Due::Deliver(to, packet.clone()));
            return self.note(Record { at, peer: from, packet, note });
        }
        self.note(Record { at, peer: from, packet: Bytes::copy_from_slice(&packet), note });
        for (arrival, packet) in fate.apply(packet) {
            self.clock.schedule(arrival, Due::Deliver(to, packet.into()));
        }
    }

    fn note(&mut self, record: Record) {
        if let Some(observer) = &mut self.observer {
            observer(&record);
        }
        self.recorder.add(record);
    }

    /// Writes an arrival down.
    pub(super) fn arrived(&mut self, to: PeerId, packet: Bytes, received: Option<Received>) {
        let at = self.clock.now();
        self.hash.word(at.as_nanos());
        self.hash.word(to.0 as u64 | 1 << 63);
        self.hash.word(packet.len() as u64);
        self.note(Record { at, peer: to, packet, note: Note::Arrived(received) });
    }
}

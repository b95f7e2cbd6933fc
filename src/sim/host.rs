//! A host: a stack and the programs on it.

use std::any::Any;

use bytes::Bytes;
use tunstack_core::config::Config;
use tunstack_core::packet::{Checksum, Datagram, Inbound, Received, Sent, Trust};
use tunstack_core::stack::{Event, Stack, drive};
use tunstack_core::time::Instant;

use super::app::App;

/// Whatever sits at an end of a link: a [`Host`], another stack, or a test that plays one.
pub trait Peer: Any {
    /// A packet arrived. Says what became of it, if that is known.
    fn receive(&mut self, now: Instant, packet: Bytes) -> Option<Received>;

    /// Runs whatever is due or has become possible, until it is quiet.
    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Outgoing));

    /// When it wants to be polled next, if nothing arrives before.
    fn next_wake(&self) -> Option<Instant>;

    /// Whether its programs have nothing left to do.
    fn done(&self) -> bool {
        true
    }

    /// How it stands, for the message of a test that failed.
    fn describe(&self) -> String {
        String::new()
    }
}

/// A packet that a peer sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// The whole IP packet.
    pub packet: Vec<u8>,
    /// Why it was sent, if that is known.
    pub event: Option<Sent>,
}

impl From<Vec<u8>> for Outgoing {
    fn from(packet: Vec<u8>) -> Self {
        Self { packet, event: None }
    }
}

impl From<Datagram<'_>> for Outgoing {
    /// Copies the packet.
    ///
    /// # Panics
    /// If something is left to a device to finish: a simulated host has a plain one.
    fn from(datagram: Datagram<'_>) -> Self {
        assert_eq!(
            (datagram.gso_size, datagram.checksum),
            (0, Checksum::Complete),
            "a plain device cannot do that"
        );
        let mut packet = Vec::with_capacity(datagram.len());
        packet.extend_from_slice(datagram.head);
        datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
        Self { packet, event: datagram.event.copied() }
    }
}

/// What a card with offload does: gives the packets that go over the link in place of one of the stack's.
pub type Card = Box<dyn FnMut(&Datagram<'_>, &mut dyn FnMut(Outgoing))>;

/// A [`Stack`] and the programs on it.
pub struct Host {
    stack: Stack,
    card: Option<Card>,
    apps: Vec<Box<dyn App>>,
    events: Vec<Event>,
    keep_frames: bool,
    stack_wake: Option<Instant>,
    /// Something may have changed that no event tells: a first run, or a hand on the stack.
    touched: bool,
}

impl Host {
    /// How often stack and programs may push each other on at one time. A transfer needs a few rounds; one
    /// that does not end is a livelock.
    const MAX_ROUNDS: u32 = 100_000;
    /// Packets that a stack may have to send at one time; far more than any window holds.
    const MAX_PACKETS: u32 = 1_000_000;

    /// A host with a fresh stack; see [`Stack::new`].
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            stack: Stack::new(config, seed),
            card: None,
            apps: Vec::new(),
            events: Vec::new(),
            keep_frames: false,
            stack_wake: None,
            touched: true,
        }
    }

    /// Lets the stack keep the packets' own memory instead of copying their text.
    #[must_use]
    pub const fn keep_frames(mut self) -> Self {
        self.keep_frames = true;
        self
    }

    /// Does with `card` what the stack leaves to a device. Without one it must not leave anything.
    #[must_use]
    pub fn card(mut self, card: Card) -> Self {
        self.card = Some(card);
        self
    }

    /// A packet arrives that its card has joined from segments with `gso_size` octets of text; 0: it has not. The card has
    /// found its checksum right.
    pub fn receive_joined(&mut self, now: Instant, packet: &[u8], gso_size: u16) -> Received {
        let inbound = Inbound { trust: Trust::Trusted, gso_size, ..Inbound::plain(packet) };
        self.stack.receive(now, inbound)
    }

    /// Runs a program on it. The first has number 0.
    #[must_use]
    pub fn with(mut self, app: impl App) -> Self {
        self.run(app);
        self
    }

    /// Runs a program on it from now on.
    pub fn run(&mut self, app: impl App) {
        self.apps.push(Box::new(app));
        self.touched = true;
    }

    /// The stack.
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The stack, to call it as a program would.
    pub const fn stack_mut(&mut self) -> &mut Stack {
        self.touched = true;
        &mut self.stack
    }

    /// Its first program of type `A`.
    ///
    /// # Panics
    /// If it has none.
    pub fn app<A: App>(&self) -> &A {
        let found = self.apps.iter().find_map(|app| (app.as_ref() as &dyn Any).downcast_ref());
        found.unwrap_or_else(|| panic!("no {} runs here", std::any::type_name::<A>()))
    }

    /// All its programs of type `A`, in the order they were added.
    pub fn apps<A: App>(&self) -> impl Iterator<Item = &A> {
        self.apps.iter().filter_map(|app| (app.as_ref() as &dyn Any).downcast_ref())
    }

    /// All its programs of type `A`, to do something to.
    pub fn apps_mut<A: App>(&mut self) -> impl Iterator<Item = &mut A> {
        self.touched = true;
        self.apps.iter_mut().filter_map(|app| (app.as_mut() as &mut dyn Any).downcast_mut())
    }

    /// When its programs want to be polled next.
    fn app_wake(&self) -> Option<Instant> {
        self.apps.iter().filter_map(|app| app.next_wake()).min()
    }
}

impl Peer for Host {
    fn receive(&mut self, now: Instant, packet: Bytes) -> Option<Received> {
        let mut inbound = Inbound::plain(&packet);
        inbound.backing = self.keep_frames.then_some(&packet);
        Some(self.stack.receive(now, inbound))
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Outgoing)) {
        let (mut rounds, mut packets) = (0, 0);
        loop {
            let events = &mut self.events;
            let count = |datagram: Datagram<'_>| {
                packets += 1;
                assert!(packets < Self::MAX_PACKETS, "livelock: the stack sends on for ever");
                match &mut self.card {
                    Some(card) => card(&datagram, send),
                    None => send(datagram.into()),
                }
            };
            self.stack_wake = drive(&mut self.stack, now, count, |event| events.push(event));
            let woken = self.app_wake().is_some_and(|at| at <= now);
            if self.events.is_empty() && !woken && !self.touched {
                return;
            }
            self.touched = false;
            let mut moved = false;
            for app in &mut self.apps {
                moved |= app.poll(&mut self.stack, now, &self.events);
            }
            self.events.clear();
            // Two programs on one host may wait for each other: those polled first get their turn again.
            self.touched = moved;
            rounds += 1;
            assert!(rounds < Self::MAX_ROUNDS, "livelock: stack and programs push each other on for ever");
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        self.stack_wake.into_iter().chain(self.app_wake()).min()
    }

    fn done(&self) -> bool {
        self.apps.iter().all(|app| app.done())
    }

    fn describe(&self) -> String {
        let mut text = format!("stack wakes at {:?}", self.stack_wake);
        for app in &self.apps {
            text += "\n  ";
            text += &app.describe();
        }
        for id in self.stack.sockets() {
            let (state, ready) = (self.stack.state(id), self.stack.readiness(id));
            text += &format!("\n  socket {}.{}: {state:?} {ready:?}", id.index(), id.generation());
        }
        text
    }
}

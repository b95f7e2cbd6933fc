//! Several stacks as one host, with another host as the peer of all.

extern crate std;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use std::sync::Mutex;

use super::super::shards::{Exclusive, Placement, Registry};
use super::*;
use crate::addr::Quad;
use crate::config::SynCookies;

mod listening;
mod places;

/// What the stacks share.
#[derive(Debug, Default)]
struct Common(Mutex<Registry>);

impl Exclusive for Common {
    fn with(&self, look: &mut dyn FnMut(&mut Registry)) {
        look(&mut self.0.lock().unwrap());
    }
}

struct Host {
    now: Instant,
    stacks: Vec<Stack>,
    placement: Arc<Placement>,
    peer: Stack,
    /// Cuts what the peer sends in two pieces.
    fragments: bool,
}

const PEER: u8 = 1;
const US: u8 = 2;

impl Host {
    fn new(count: u16) -> Self {
        Self::with(count, |_| {})
    }

    fn with(count: u16, change: fn(&mut Config)) -> Self {
        let config = |n: u8| Config { addresses: vec![Prefix::new(v4(n), 24)], ..Config::default() };
        let mut ours = config(US);
        change(&mut ours);
        let placement = Arc::new(Placement::new([9; 32], count, Common::default()));
        let stack = |n| Stack::shard(ours.clone(), [9; 32], n, placement.clone());
        Self {
            now: Instant::from_secs(1),
            stacks: (0..count).map(stack).collect(),
            peer: Stack::new(config(PEER), [1; 32]),
            fragments: false,
            placement,
        }
    }

    /// Runs until nothing is to be done at this time.
    fn rest(&mut self) {
        let now = self.now;
        loop {
            let mut to_us = Vec::new();
            drive(&mut self.peer, now, |d| to_us.extend(segmentation::cut(&d)), |_| {});
            let mut busy = !to_us.is_empty();
            for packet in to_us {
                let pieces = if self.fragments { in_two(&packet) } else { vec![packet] };
                for piece in pieces {
                    let owner = self.placement.of_packet(&Inbound::plain(&piece));
                    self.stacks[usize::from(owner)].receive(now, Inbound::plain(&piece));
                }
            }
            for at in 0..self.stacks.len() {
                let mut to_peer = Vec::new();
                drive(&mut self.stacks[at], now, |d| to_peer.extend(segmentation::cut(&d)), |_| {});
                busy |= !to_peer.is_empty();
                for packet in to_peer {
                    self.peer.receive(now, Inbound::plain(&packet));
                }
            }
            busy |= self.posts();
            if !busy {
                return;
            }
        }
    }

    /// Carries what one stack has for another.
    fn posts(&mut self) -> bool {
        let mut busy = false;
        for at in 0..self.stacks.len() {
            while let Some((to, post)) = self.stacks[at].poll_post() {
                assert_ne!(usize::from(to), at);
                self.stacks[usize::from(to)].take_post(post, self.now);
                busy = true;
            }
        }
        busy
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.rest();
            let next = self.stacks.iter().chain([&self.peer]).filter_map(Stack::poll_timeout).min();
            self.now = next.unwrap_or(end).min(end).max(self.now + Duration::from_millis(1));
        }
        self.rest();
    }

    /// As a program connects.
    fn connect(&mut self, id: SocketId, remote: Endpoint) -> Result<(), Error> {
        let now = self.now;
        let claim = self.of(id).claims(id, remote);
        if let Some((owner, quad)) = claim {
            self.stacks[usize::from(owner)].cede(&quad, id.shard())?;
        }
        let begun = self.of(id).connect(id, remote, now);
        if let Some((_, quad)) = claim {
            self.of(id).end_claim(&quad);
        }
        begun
    }

    fn of(&mut self, id: SocketId) -> &mut Stack {
        &mut self.stacks[usize::from(id.shard())]
    }

    fn socket(&mut self, shard: usize, port: u16) -> Result<SocketId, Error> {
        let id = self.stacks[shard].tcp_socket(Family::V4);
        self.stacks[shard].bind(id, Endpoint::new(Address::UNSPECIFIED_V4, port)).map(|()| id)
    }

    fn listen(&mut self, shard: usize, port: u16, backlog: u32) -> SocketId {
        let id = self.socket(shard, port).unwrap();
        self.stacks[shard].listen(id, backlog).unwrap();
        self.posts();
        id
    }

    /// Allows others at its port.
    fn share(&mut self, id: SocketId) {
        let now = self.now;
        let options = self.of(id).options(id).unwrap();
        let options = SocketOptions { reuse_address: true, reuse_port: true, ..options };
        self.of(id).set_options(id, options, now).unwrap();
        self.posts();
    }

    /// The peer begins so many connections.
    fn called(&mut self, port: u16, count: usize) -> Vec<SocketId> {
        let to = Endpoint::new(v4(US), port);
        let begun: Vec<_> = (0..count)
            .map(|_| {
                let id = self.peer.tcp_socket(Family::V4);
                assert_eq!(self.peer.connect(id, to, self.now), Err(Error::InProgress));
                id
            })
            .collect();
        self.rest();
        begun
    }

    fn accept(&mut self, listener: SocketId) -> Result<(SocketId, Endpoint), Error> {
        self.of(listener).try_accept_from(listener)
    }

    /// How many of the peer's stand, and how many have ended.
    fn states(&self, ids: &[SocketId]) -> (usize, usize) {
        let count = |state| ids.iter().filter(|id| self.peer.state(**id) == Some(state)).count();
        (count(State::Established), count(State::Closed))
    }

    fn quad(&mut self, id: SocketId) -> Quad {
        let (local, remote) = (self.of(id).local_endpoint(id), self.of(id).remote_endpoint(id));
        Quad { local: local.unwrap(), remote: remote.unwrap() }
    }

    fn sum(&self) -> Counters {
        let mut sum = Counters::default();
        self.stacks.iter().for_each(|stack| sum.add(stack.counters()));
        sum
    }
}

/// A packet in two fragments, or as it is where it has too little.
fn in_two(packet: &[u8]) -> Vec<Vec<u8>> {
    let (head, text) = packet.split_at(20);
    if text.len() <= 8 {
        return vec![packet.to_vec()];
    }
    let piece = |text: &[u8], field: u16| {
        let mut piece = head.to_vec();
        piece[2..4].copy_from_slice(&(20 + text.len() as u16).to_be_bytes());
        piece[4..6].copy_from_slice(&7u16.to_be_bytes());
        piece[6..8].copy_from_slice(&field.to_be_bytes());
        piece[10..12].fill(0);
        let sum = piece.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum::<u32>();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        piece[10..12].copy_from_slice(&sum.to_be_bytes());
        piece.extend_from_slice(text);
        piece
    };
    vec![piece(&text[..8], 0x2000), piece(&text[8..], 1)]
}

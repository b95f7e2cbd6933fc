//! One stack against a peer written segment by segment, with no wire between them.

use super::*;
use crate::seq::{Seq, SeqRange};
use crate::wire::ip;
use crate::wire::options::{Options, Timestamps};
use crate::wire::tcp;

/// A segment that left the stack.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) header: tcp::Header,
    pub(super) options: Options,
    pub(super) text: Vec<u8>,
}

impl Sent {
    pub(super) fn is(&self, flags: Flags) -> bool {
        self.header.flags.contains(flags)
    }
}

/// The stack under test is 10.7.0.1, the peer 10.7.0.2. Where sequence numbers are not the point, the peer's first
/// is 1000.
pub(super) struct Raw {
    pub(super) now: Instant,
    pub(super) host: Stack,
    /// Our port and the peer's.
    pub(super) ports: (u16, u16),
    /// The peer's TSval; `None`: it sends no timestamps.
    pub(super) clock: Option<u32>,
    /// What the peer offers on its SYN.
    pub(super) syn: Options,
    /// The peer's window field.
    pub(super) window: u16,
    /// The peer's SND.NXT and RCV.NXT.
    pub(super) seq: u32,
    pub(super) ack: u32,
    /// The urgent pointer of what the peer sends.
    pub(super) urgent: u16,
}

impl Raw {
    pub(super) fn new(config: Config) -> Self {
        let config = Config { addresses: vec![Prefix::new(v4(1), 24)], ..config };
        Self {
            now: Instant::from_secs(1000),
            host: Stack::new(config, [7; 32]),
            ports: (80, 5000),
            clock: None,
            syn: Options { mss: Some(1000), ..Options::default() },
            window: 60_000,
            seq: 1000,
            ack: 0,
            urgent: 0,
        }
    }

    /// All that leaves the stack now.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let mut out = Vec::new();
        drive(
            &mut self.host,
            self.now,
            |d| {
                for packet in segmentation::cut(&d) {
                    let parsed = ip::parse(&packet).unwrap();
                    assert_eq!(parsed.header.protocol, ip::protocol::TCP);
                    let p = tcp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
                    out.push(Sent { header: p.header, options: p.options.clone(), text: p.payload.to_vec() });
                }
            },
            |_| {},
        );
        self.host.check_invariants();
        out
    }

    /// All that the program is told now. What leaves the stack meanwhile is lost.
    pub(super) fn told(&mut self) -> Vec<Event> {
        let mut told = Vec::new();
        drive(&mut self.host, self.now, |_| {}, |event| told.push(event));
        self.host.check_invariants();
        told
    }

    /// Lets time pass, one deadline after the other, and gives all that left meanwhile.
    pub(super) fn wait(&mut self, duration: Duration) -> Vec<Sent> {
        let end = self.now + duration;
        let mut all = self.sent();
        while let Some(next) = self.host.poll_timeout().filter(|&t| t <= end) {
            self.now = self.now.max(next);
            all.extend(self.sent());
        }
        self.now = end;
        all.extend(self.sent());
        all
    }

    /// A segment of the peer, whatever it says, as it is on the wire.
    pub(super) fn packet(&self, seq: u32, ack: u32, flags: Flags, text: &[u8], options: &Options) -> Vec<u8> {
        let ip = ip::Header {
            src: v4(2),
            dst: v4(1),
            protocol: ip::protocol::TCP,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: true,
            fragment: None,
        };
        let header = tcp::Header {
            src_port: self.ports.1,
            dst_port: self.ports.0,
            seq: Seq::new(seq),
            ack: Seq::new(ack),
            flags,
            window: self.window,
            urgent: self.urgent,
        };
        let mut packet = Vec::new();
        tcp::emit(&ip, &header, options, core::iter::once(text), text.len(), 0, false, &mut packet);
        packet.extend_from_slice(text);
        packet
    }

    /// Such a segment arrives.
    pub(super) fn inject(&mut self, seq: u32, ack: u32, flags: Flags, text: &[u8], options: &Options) {
        let packet = self.packet(seq, ack, flags, text, options);
        self.host.receive(self.now, Inbound::plain(&packet));
        self.host.check_invariants();
    }

    /// A segment at the peer's present place.
    pub(super) fn send(&mut self, flags: Flags, text: &[u8]) {
        let syn = flags.contains(Flags::SYN);
        let mut options = if syn { self.syn.clone() } else { Options::default() };
        options.timestamps = self.clock.map(|value| Timestamps { value, echo: 0 });
        self.inject(self.seq, self.ack, flags, text, &options);
        self.seq = self.seq.wrapping_add(text.len() as u32 + u32::from(syn));
        self.seq = self.seq.wrapping_add(u32::from(flags.contains(Flags::FIN)));
    }

    /// An ACK of all that `sent` holds, and of nothing more.
    pub(super) fn acknowledge(&mut self, sent: &[Sent]) {
        for s in sent {
            let len = s.text.len() as u32 + u32::from(s.is(Flags::SYN)) + u32::from(s.is(Flags::FIN));
            let end = s.header.seq.add(len);
            if end.after(Seq::new(self.ack)) {
                self.ack = end.get();
            }
        }
        self.send(Flags::ACK, b"");
    }

    /// The stack listens at `ports.0`.
    pub(super) fn listen(&mut self, backlog: u32) -> SocketId {
        let (id, now) = (self.host.tcp_socket(Family::V4), self.now);
        let options = self.host.options(id).unwrap();
        let options = crate::sockopt::SocketOptions { reuse_address: true, ..options };
        self.host.set_options(id, options, now).unwrap();
        self.host.bind(id, Endpoint::new(Address::UNSPECIFIED_V4, self.ports.0)).unwrap();
        self.host.listen(id, backlog).unwrap();
        id
    }

    /// A connection that the stack accepted.
    pub(super) fn accepted(&mut self) -> SocketId {
        let listener = self.listen(8);
        self.handshake();
        self.host.try_accept(listener).unwrap()
    }

    /// The peer opens a connection. The ACK that ends the handshake is sent.
    pub(super) fn handshake(&mut self) {
        self.send(Flags::SYN, b"");
        let out = self.sent();
        assert_eq!(out.len(), 1);
        assert!(out[0].is(Flags::SYN | Flags::ACK), "{:?}", out[0]);
        self.ack = out[0].header.seq.get().wrapping_add(1);
        self.send(Flags::ACK, b"");
        assert!(self.sent().is_empty());
    }

    /// The stack begins to connect to the peer; gives the SYN.
    pub(super) fn connect(&mut self) -> (SocketId, Sent) {
        self.ports = (4000, 80);
        let id = self.host.tcp_socket(Family::V4);
        self.host.bind(id, Endpoint::new(v4(1), 4000)).unwrap();
        let now = self.now;
        assert_eq!(self.host.connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
        let mut out = self.sent();
        assert_eq!(out.len(), 1);
        self.ack = out[0].header.seq.get().wrapping_add(1);
        (id, out.remove(0))
    }

    pub(super) fn tcb(&mut self, id: SocketId) -> &mut Tcb {
        match &mut self.host.slab.get_mut(id).unwrap().kind {
            Kind::Connection(tcb) => tcb,
            _ => panic!("no connection"),
        }
    }

    pub(super) fn state(&self, id: SocketId) -> State {
        self.host.state(id).unwrap()
    }

    pub(super) fn write(&mut self, id: SocketId, data: &[u8]) {
        let now = self.now;
        assert_eq!(self.host.try_write(id, data, now), Ok(data.len()));
    }
}

/// A SACK option with these blocks.
pub(super) fn sack(blocks: &[(u32, u32)]) -> Options {
    let sack = blocks.iter().map(|&(a, b)| SeqRange::new(Seq::new(a), Seq::new(b))).collect();
    Options { sack, ..Options::default() }
}

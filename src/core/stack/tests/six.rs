//! One stack with IPv6 addresses against a peer and routers written packet by packet.

pub(super) use super::rfc1122::{a, header, packet};
use super::*;
use crate::addr::Quad;
use crate::seq::Seq;
use crate::wire::icmp::Message;
use crate::wire::ip::{self, protocol};
use crate::wire::options::Options;
use crate::wire::tcp;

pub(super) const US: &str = "fd00::1";
pub(super) const PEER: &str = "fd00::2";
pub(super) const ROUTER: &str = "fd00::9";

/// The stack is `US`, and `PEER` is on its link.
pub(super) struct Six {
    pub(super) now: Instant,
    pub(super) host: Stack,
}

impl Six {
    pub(super) fn new(config: Config) -> Self {
        let addresses = vec![Prefix::new(a(US), 64), Prefix::new(a("fd01::1"), 64)];
        Self { now: Instant::from_secs(1000), host: Stack::new(Config { addresses, ..config }, [7; 32]) }
    }

    pub(super) fn receive(&mut self, packet: &[u8]) {
        self.host.receive(self.now, Inbound::plain(packet));
        self.host.check_invariants();
    }

    pub(super) fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        drive(
            &mut self.host,
            self.now,
            |d| {
                let mut packet = vec![0; d.len()];
                d.copy_to(&mut packet).unwrap();
                out.push(packet);
            },
            |_| {},
        );
        self.host.check_invariants();
        out
    }

    pub(super) fn icmp(&mut self, src: &str, dst: &str, message: &Message<'_>) {
        let mut bytes = Vec::new();
        message.emit(a(src), a(dst), &mut bytes);
        self.receive(&packet(header(src, dst, protocol::ICMPV6), &bytes));
    }

    /// A router complains to us.
    pub(super) fn complaint(&mut self, message: &Message<'_>) {
        self.icmp(ROUTER, US, message);
    }

    /// A segment of the peer to our port `port`.
    pub(super) fn segment(&mut self, port: u16, seq: u32, ack: u32, flags: Flags, options: &Options) {
        let ip = header(PEER, US, protocol::TCP);
        let header = tcp::Header {
            src_port: 80,
            dst_port: port,
            seq: Seq::new(seq),
            ack: Seq::new(ack),
            flags,
            window: 60_000,
            urgent: 0,
        };
        let mut bytes = Vec::new();
        tcp::emit(&ip, &header, options, core::iter::empty(), 0, 0, false, &mut bytes);
        self.receive(&bytes);
    }

    /// A connection from our port `port` to the peer, whose MSS is this. The peer's next number is 1001.
    pub(super) fn connected(&mut self, port: u16, mss: u16) -> SocketId {
        let id = self.host.tcp_socket(Family::V6);
        self.host.bind(id, Endpoint::new(a(US), port)).unwrap();
        let now = self.now;
        assert_eq!(self.host.connect(id, Endpoint::new(a(PEER), 80), now), Err(Error::InProgress));
        let syn = &self.sent()[0];
        let ack = segment_of(syn).0.wrapping_add(1);
        let options = Options { mss: Some(mss), ..Options::default() };
        self.segment(port, 1000, ack, Flags::SYN | Flags::ACK, &options);
        assert_eq!(self.sent().len(), 1);
        assert_eq!(self.host.state(id), Some(State::Established));
        id
    }

    /// A UDP socket of ours that is connected to the peer's port 53.
    pub(super) fn udp(&mut self, port: u16) -> SocketId {
        let id = self.host.udp_socket(Family::V6);
        self.host.bind(id, Endpoint::new(a(US), port)).unwrap();
        let now = self.now;
        self.host.connect(id, Endpoint::new(a(PEER), 53), now).unwrap();
        id
    }

    pub(super) fn write(&mut self, id: SocketId, len: usize) -> Vec<Vec<u8>> {
        let now = self.now;
        assert_eq!(self.host.try_write(id, &vec![7; len], now), Ok(len));
        self.sent()
    }

    pub(super) fn tcb(&mut self, id: SocketId) -> &mut Tcb {
        match &mut self.host.slab.get_mut(id).unwrap().kind {
            Kind::Connection(tcb) => tcb,
            _ => panic!("no connection"),
        }
    }

    pub(super) fn mtu(&mut self, dst: &str) -> u16 {
        let (now, device) = (self.now, self.host.config.mtu);
        self.host.path_mtu.get(a(dst), now, device)
    }
}

/// Sequence number and octets of text of a TCP segment in a packet.
pub(super) fn segment_of(packet: &[u8]) -> (u32, usize) {
    let parsed = ip::parse(packet).unwrap();
    let p = tcp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
    let quad = Quad {
        local: Endpoint::new(parsed.header.src, p.header.src_port),
        remote: Endpoint::new(parsed.header.dst, p.header.dst_port),
    };
    assert_eq!(quad.remote, Endpoint::new(a(PEER), 80));
    (p.header.seq.get(), p.payload.len())
}

//! The connections of a script: which packet belongs to which, and what a script's numbers are on the wire.
//!
//! # Which one
//!
//! A script rarely says which connection a packet belongs to. As in the original, it is the *current* one:
//! `socket()` makes its socket current, and the first inbound segment while a listening socket (or none at
//! all) is current makes a new connection, which is current from then on. A packet with ports belongs to the
//! connection with these ports; they stand in the packet as written. Where there is none, a SYN makes one,
//! and anything else goes out with these ports and the numbers of the current connection, as if it had strayed.
//!
//! # Which numbers
//!
//! As tcpdump shows them: in segments with SYN, sequence and acknowledgment numbers are absolute; in all others
//! they count from the initial sequence numbers. The remote one is what the script writes in its SYN, the same
//! on the wire; the local one is the stack's, learnt from its SYN, whatever the script writes there. Blocks of
//! SACK count as acknowledgment numbers do. All of it modulo 2^32.
//!
//! An outbound TSval is the stack's, too: which one the script's stands for is remembered with each segment,
//! so that an inbound TSecr can echo it.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::net::Net;
use super::script::{Direction, Packet, Payload, Ports, Tcp, TcpOption};
use super::seen::{Carried, Seen, SeenTcp};

/// FIN as in [`Flags::bits`](super::script::Flags::bits).
pub(super) const FIN: u16 = 0x01;
/// SYN.
pub(super) const SYN: u16 = 0x02;
/// PSH.
pub(super) const PSH: u16 = 0x08;
/// ACK.
pub(super) const ACK: u16 = 0x10;
/// CWR.
pub(super) const CWR: u16 = 0x80;

/// The first of the ports that remote ends have which the script does not name.
const FIRST_REMOTE_PORT: u16 = 40_000;

/// What a socket speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP of the family.
    Icmp,
}

/// How far a connection has come, as far as the meaning of packets depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowState {
    /// After `socket()`.
    New,
    /// After `listen()`.
    Listening,
    /// An inbound segment has made it.
    Received,
    /// The stack has answered that with SYN,ACK.
    SynAckSent,
    /// The script has acknowledged the SYN,ACK.
    SynAckAcked,
    /// After `connect()`, or a `sendto()` that says where to.
    Connecting,
    /// The script expects the stack's SYN.
    SynSent,
    /// The script has answered it with SYN,ACK.
    SynAcked,
}

/// One connection, or one socket that may become one.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The script's number for its descriptor, while it has one.
    pub fd: Option<i32>,
    /// What it speaks.
    pub protocol: Protocol,
    /// How far it has come.
    pub state: FlowState,
    /// The stack's end; port 0 where it is not known yet.
    pub local: SocketAddr,
    /// The script's end; port 0 where it is not known yet.
    pub remote: SocketAddr,
    /// The stack's initial sequence number as the script has it.
    pub script_local_isn: u32,
    /// The same on the wire.
    pub live_local_isn: u32,
    /// The script's initial sequence number, the same on the wire.
    pub remote_isn: u32,
    /// TSval of the script → TSval of the stack.
    ts_vals: HashMap<u32, u32>,
    /// The first such pair.
    first_ts: Option<(u32, u32)>,
    ts_ecr_scaled: bool,
    /// The flow label that the script wrote last, and what it stands for.
    flow_label: Option<(u32, u32)>,
}

impl Flow {
    fn new(protocol: Protocol, state: FlowState, net: &Net) -> Self {
        Self {
            fd: None,
            protocol,
            state,
            local: SocketAddr::new(net.local, 0),
            remote: SocketAddr::new(net.remote, 0),
            script_local_isn: 0,
            live_local_isn: 0,
            remote_isn: 0,
            ts_vals: HashMap::new(),
            first_ts: None,
            ts_ecr_scaled: net.ts_ecr_scaled,
            flow_label: None,
        }
    }

    /// On the wire, of an inbound sequence number in a segment with SYN or without.
    pub fn live_remote_seq(&self, seq: u32, syn: bool) -> u32 {
        if syn { seq } else { seq.wrapping_add(self.remote_isn) }
    }

    /// On the wire, of an inbound acknowledgment number or an edge of a SACK block.
    pub fn live_local_seq(&self, seq: u32, syn: bool) -> u32 {
        seq.wrapping_add(self.local_offset(syn))
    }

    /// In the script, of an outbound sequence number.
    pub fn script_local_seq(&self, seq: u32, syn: bool) -> u32 {
        seq.wrapping_sub(self.local_offset(syn))
    }

    /// In the script, of an outbound acknowledgment number or an edge of a SACK block.
    pub fn script_remote_seq(&self, seq: u32, syn: bool) -> u32 {
        if syn { seq } else { seq.wrapping_sub(self.remote_isn) }
    }

    fn local_offset(&self, syn: bool) -> u32 {
        let from = if syn { self.script_local_isn } else { 0 };
        self.live_local_isn.wrapping_sub(from)
    }

    /// The TSval that an inbound TSecr of the script echoes.
    ///
    /// # Errors
    ///
    /// One line where the script has expected no such TSval, unless `--tcp_ts_ecr_scaled` allows to compute it.
    pub fn live_ts_ecr(&self, ecr: u32) -> Result<u32, String> {
        match (self.ts_vals.get(&ecr), self.first_ts) {
            (Some(&live), _) => Ok(live),
            (None, Some((script, live))) if self.ts_ecr_scaled => {
                Ok(ecr.wrapping_sub(script).wrapping_add(live))
            }
            _ => Err(format!(
                "TS ecr {ecr}: no outbound packet before had this TS val (--tcp_ts_ecr_scaled computes one)"
            )),
        }
    }

    /// What an outbound TSval is in the script: as far from the script's first as it is from the stack's
    /// first. `None` before the first.
    pub fn script_ts_val(&self, live: u32) -> Option<u32> {
        self.first_ts.map(|(script, first)| live.wrapping_sub(first).wrapping_add(script))
    }

    /// Whether an outbound TSval has been seen, from which the others are measured.
    pub fn has_ts(&self) -> bool {
        self.first_ts.is_some()
    }

    /// The flow label that the script wrote last, and what stood in the packet.
    pub fn flow_label(&self) -> Option<(u32, u32)> {
        self.flow_label
    }

    /// Whether a packet goes from this connection's local end to its remote one, or the other way.
    pub fn direction_of(&self, seen: &Seen) -> Option<Direction> {
        let (src, dst) = seen.ends();
        let of = |ours: SocketAddr, packets: SocketAddr| match seen.carried {
            Carried::Tcp(_) | Carried::Udp(_) => ours == packets,
            Carried::Icmp(_) | Carried::Other { .. } => ours.ip() == packets.ip(),
        };
        if of(self.local, src) && of(self.remote, dst) {
            Some(Direction::Outbound)
        } else if of(self.remote, src) && of(self.local, dst) {
            Some(Direction::Inbound)
        } else {
            None
        }
    }

    /// Remembers what the stack's TSval and flow label in `seen` stand for in the script. To be called once
    /// for each expected packet, after [`compare`](super::packet::compare) with the packets joined.
    pub fn learn(&mut self, expected: &Packet, seen: &Seen) {
        let label = expected.ip.flow_label.filter(|&label| label != 0);
        if let Some(script) = label.filter(|&label| self.flow_label.is_none_or(|(last, _)| last != label)) {
            self.flow_label = Some((script, seen.ip.flow_label));
        }
        let (Payload::Tcp(script), Carried::Tcp(live)) = (&expected.payload, &seen.carried) else { return };
        let Some((script, live)) = script_ts_val(script).zip(live_ts_val(live)) else { return };
        self.ts_vals.insert(script, live);
        self.first_ts.get_or_insert((script, live));
    }
}

fn script_ts_val(tcp: &Tcp) -> Option<u32> {
    tcp.options.iter().flatten().find_map(|option| match option {
        TcpOption::Timestamps { val, .. } => Some(*val),
        _ => None,
    })
}

fn live_ts_val(tcp: &SeenTcp) -> Option<u32> {
    tcp.timestamps().map(|(val, _)| val)
}

/// All connections of a script.
#[derive(Clone, Debug)]
pub struct Flows {
    net: Net,
    flows: Vec<Flow>,
    current: Option<usize>,
    next_port: u16,
}

impl Flows {
    /// None yet, in this network.
    pub fn new(net: &Net) -> Self {
        Self { net: net.clone(), flows: Vec::new(), current: None, next_port: FIRST_REMOTE_PORT }
    }

    /// The one that packets without ports belong to.
    pub fn current(&self) -> Option<&Flow> {
        self.flows.get(self.current?)
    }

    /// The one with this descriptor.
    pub fn by_fd(&self, fd: i32) -> Option<&Flow> {
        self.flows.iter().rev().find(|flow| flow.fd == Some(fd))
    }

    /// The one that a packet of either direction belongs to by its addresses and ports; the latest of several.
    pub fn of(&self, seen: &Seen) -> Option<&Flow> {
        self.flows.iter().rev().find(|flow| flow.direction_of(seen).is_some())
    }

    /// `socket()` gave `fd`.
    pub fn socket(&mut self, fd: i32, protocol: Protocol) {
        self.closed(fd);
        let flow = Flow { fd: Some(fd), ..Flow::new(protocol, FlowState::New, &self.net) };
        self.add(flow);
    }

    /// `bind()` gave `fd` this address, that of the stack and not of the script where the two differ.
    pub fn bound(&mut self, fd: i32, to: SocketAddr) {
        let net = self.net.local;
        if let Some(flow) = self.with_fd(fd) {
            let ip = Some(to.ip().to_canonical()).filter(|ip| !ip.is_unspecified());
            flow.local = SocketAddr::new(ip.unwrap_or(net), to.port());
        }
    }

    /// `listen()` has made `fd` a listening socket.
    ///
    /// # Errors
    ///
    /// One line where there is no such socket.
    pub fn listening(&mut self, fd: i32) -> Result<(), String> {
        let flow = self.with_fd(fd).ok_or_else(|| no_socket(fd, "listen"))?;
        flow.state = FlowState::Listening;
        Ok(())
    }

    /// `connect()` or a `sendto()` is about to be called; `to` where the script says an address. To be called
    /// before the call, whose packet may leave at once. A socket that is past that stays as it is.
    ///
    /// # Errors
    ///
    /// One line where there is no such socket.
    pub fn connecting(&mut self, fd: i32, to: Option<SocketAddr>) -> Result<(), String> {
        let to = to.unwrap_or_else(|| self.net.connect_address());
        let flow = self.with_fd(fd).ok_or_else(|| no_socket(fd, "connect"))?;
        if flow.state == FlowState::New {
            flow.state = FlowState::Connecting;
            flow.remote = SocketAddr::new(to.ip().to_canonical(), to.port());
        }
        Ok(())
    }

    /// `connect()` to AF_UNSPEC: a later one starts anew.
    pub fn disconnected(&mut self, fd: i32) {
        if let Some(flow) = self.with_fd(fd) {
            flow.state = FlowState::New;
        }
    }

    /// `accept()` gave `fd`, for the connection from `peer`.
    ///
    /// # Errors
    ///
    /// One line where no packet of the script has made such a connection.
    pub fn accepted(&mut self, fd: i32, peer: SocketAddr) -> Result<(), String> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let made = |flow: &&mut Flow| {
            let handshaking =
                matches!(flow.state, FlowState::Received | FlowState::SynAckSent | FlowState::SynAckAcked);
            handshaking && flow.fd.is_none() && flow.remote == peer
        };
        let flow = self.flows.iter_mut().rev().find(made);
        let flow =
            flow.ok_or_else(|| format!("accept() gave a connection from {peer} that no packet made"))?;
        flow.fd = Some(fd);
        Ok(())
    }

    /// `close()` was called: the number may come again for another socket. Packets still belong to it.
    pub fn closed(&mut self, fd: i32) {
        if let Some(flow) = self.with_fd(fd) {
            flow.fd = None;
        }
    }

    /// The connection that an inbound packet of the script goes to, made where it begins one.
    ///
    /// # Errors
    ///
    /// One line where there is none.
    pub fn for_inbound(&mut self, packet: &Packet) -> Result<&mut Flow, String> {
        let at = match &packet.payload {
            Payload::Tcp(tcp) => {
                let ports = tcp.ports.map(|Ports { source, destination }| (destination, source));
                self.inbound_tcp(tcp, ports)
            }
            Payload::Udp(udp) => {
                let ports = udp.ports.map(|Ports { source, destination }| (destination, source));
                self.of_protocol(Protocol::Udp, ports)
            }
            Payload::Icmp(_) => self.current_or_new(Protocol::Icmp),
        };
        let (bind, connect, spare) = (self.net.bind_port, self.net.connect_port, self.next_port);
        let flow = self.flows.get_mut(at).ok_or("no connection for the packet")?;
        // Whatever nobody has named yet.
        if flow.local.port() == 0 && flow.protocol != Protocol::Icmp {
            flow.local.set_port(bind);
        }
        if flow.remote.port() == 0 {
            match flow.protocol {
                Protocol::Tcp => {
                    flow.remote.set_port(spare);
                    self.next_port = spare.checked_add(1).unwrap_or(FIRST_REMOTE_PORT);
                }
                Protocol::Udp => flow.remote.set_port(connect),
                Protocol::Icmp => {}
            }
        }
        if let Payload::Tcp(tcp) = &packet.payload {
            match flow.state {
                FlowState::SynAckSent if tcp.flags.bits & ACK != 0 => flow.state = FlowState::SynAckAcked,
                FlowState::SynSent if tcp.flags.bits & (SYN | ACK) == SYN | ACK => {
                    flow.state = FlowState::SynAcked;
                    flow.remote_isn = tcp.seq;
                }
                _ => {}
            }
        }
        Ok(flow)
    }

    /// The connection that the script expects `expected` from, if `seen` is a packet of it; the numbers of the
    /// connection are learnt from a SYN. `None`: the packet belongs to another, and is passed over while this
    /// one is awaited.
    ///
    /// # Errors
    ///
    /// One line where there is no connection that `expected` could come from.
    pub fn for_outbound(&mut self, expected: &Packet, seen: &Seen) -> Result<Option<&mut Flow>, String> {
        let at = self.expecting(expected)?;
        let flow = self.flows.get_mut(at).ok_or("no connection for the packet")?;
        let known = flow.direction_of(seen) == Some(Direction::Outbound);
        let icmp = matches!(seen.carried, Carried::Icmp(_));
        let known = known && (!icmp || matches!(expected.payload, Payload::Icmp(_)));
        let speaks = match seen.carried {
            Carried::Tcp(_) => flow.protocol == Protocol::Tcp,
            Carried::Udp(_) => flow.protocol == Protocol::Udp,
            Carried::Icmp(_) => true,
            Carried::Other { .. } => true,
        };
        if !speaks || !(known || flow.begins_with(seen)) {
            return Ok(None);
        }
        if let (Payload::Tcp(script), Carried::Tcp(live)) = (&expected.payload, &seen.carried) {
            let synack = script.flags.bits & (SYN | ACK) == SYN | ACK;
            if flow.state == FlowState::Received && synack {
                flow.state = FlowState::SynAckSent;
                flow.live_local_isn = live.seq;
            }
            // One that was bound is known before its first packet.
            if flow.state == FlowState::SynSent && live.flags & (SYN | ACK) == SYN {
                flow.live_local_isn = live.seq;
            }
        }
        Ok(Some(flow))
    }

    /// Where a packet that the script expects comes from.
    fn expecting(&mut self, expected: &Packet) -> Result<usize, String> {
        let at = match &expected.payload {
            Payload::Tcp(tcp) => {
                let ports = tcp.ports.map(|Ports { source, destination }| (source, destination));
                let syn = tcp.flags.bits & (SYN | ACK);
                let awaits = self.current().is_some_and(|flow| {
                    flow.state == FlowState::Connecting && flow.protocol == Protocol::Tcp
                        || flow.state == FlowState::SynSent && flow.local.port() == 0
                });
                let at = match ports {
                    Some(ports) if !(syn == SYN && awaits) => Some(self.with_ports(Protocol::Tcp, ports)),
                    _ => self.current,
                };
                let at = at.ok_or("no connection that the packet could come from")?;
                if let Some(flow) = self.flows.get_mut(at) {
                    match (flow.state, syn == SYN, syn == SYN | ACK) {
                        (FlowState::Connecting, true, _) => {
                            flow.state = FlowState::SynSent;
                            flow.script_local_isn = tcp.seq;
                        }
                        (FlowState::Received, _, true) => flow.script_local_isn = tcp.seq,
                        _ => {}
                    }
                }
                at
            }
            Payload::Udp(udp) => {
                let ports = udp.ports.map(|Ports { source, destination }| (source, destination));
                self.of_protocol(Protocol::Udp, ports)
            }
            Payload::Icmp(_) => self.current_or_new(Protocol::Icmp),
        };
        Ok(at)
    }

    fn inbound_tcp(&mut self, tcp: &Tcp, ports: Option<(u16, u16)>) -> usize {
        let begins = tcp.flags.bits & (SYN | ACK) == SYN;
        let listener = self.current().filter(|flow| flow.state == FlowState::Listening).cloned();
        let waits = self.current.is_none() || listener.is_some();
        match (ports, self.current) {
            (Some(ports), _) if self.find(Protocol::Tcp, ports).is_some() => {
                self.with_ports(Protocol::Tcp, ports)
            }
            (Some(ports), Some(_)) if !begins && !waits => self.with_ports(Protocol::Tcp, ports),
            (None, Some(at)) if !waits => at,
            _ => {
                let mut flow = Flow::new(Protocol::Tcp, FlowState::Received, &self.net);
                flow.remote_isn = tcp.seq;
                if let Some(listener) = listener {
                    flow.local = listener.local;
                }
                if let Some((local, remote)) = ports {
                    flow.local.set_port(local);
                    flow.remote.set_port(remote);
                }
                self.add(flow)
            }
        }
    }

    /// The current one, whatever it speaks: ICMP tells of packets of any protocol.
    fn current_or_new(&mut self, protocol: Protocol) -> usize {
        match self.current {
            Some(at) => at,
            None => self.add(Flow::new(protocol, FlowState::New, &self.net)),
        }
    }

    /// The current one if it speaks that, or a new one.
    fn of_protocol(&mut self, protocol: Protocol, ports: Option<(u16, u16)>) -> usize {
        let current = self.current.filter(|_| self.current().is_some_and(|flow| flow.protocol == protocol));
        let at = current.unwrap_or_else(|| self.add(Flow::new(protocol, FlowState::New, &self.net)));
        ports.map_or(at, |ports| self.with_ports(protocol, ports))
    }

    fn find(&self, protocol: Protocol, (local, remote): (u16, u16)) -> Option<usize> {
        self.flows.iter().rposition(|flow| {
            let connected = !matches!(flow.state, FlowState::Listening);
            let ports = (flow.local.port(), flow.remote.port());
            connected && flow.protocol == protocol && ports == (local, remote)
        })
    }

    /// The one with these ports, local first; else one with the numbers of the current one and these ports.
    fn with_ports(&mut self, protocol: Protocol, (local, remote): (u16, u16)) -> usize {
        if let Some(at) = self.find(protocol, (local, remote)) {
            return at;
        }
        let state = FlowState::New;
        let current = self.current().filter(|flow| flow.protocol == protocol).cloned();
        let mut flow = current.unwrap_or_else(|| Flow::new(protocol, state, &self.net));
        flow.fd = None;
        flow.local.set_port(local);
        flow.remote.set_port(remote);
        self.flows.push(flow);
        self.flows.len() - 1
    }

    fn add(&mut self, flow: Flow) -> usize {
        self.flows.push(flow);
        let at = self.flows.len() - 1;
        self.current = Some(at);
        at
    }

    fn with_fd(&mut self, fd: i32) -> Option<&mut Flow> {
        self.flows.iter_mut().rev().find(|flow| flow.fd == Some(fd))
    }
}

impl Flow {
    /// Whether `seen` is the first packet of this connection, whose local end is learnt from it then.
    fn begins_with(&mut self, seen: &Seen) -> bool {
        let (src, dst) = seen.ends();
        if dst != self.remote {
            return false;
        }
        match &seen.carried {
            Carried::Tcp(tcp) if self.state == FlowState::SynSent && tcp.flags & (SYN | ACK) == SYN => {}
            Carried::Udp(_) if self.state == FlowState::Connecting => {}
            _ => return false,
        }
        self.local = src;
        true
    }
}

fn no_socket(fd: i32, call: &str) -> String {
    format!("{call}({fd}): the script has no socket with this number")
}

#[cfg(test)]
mod tests;

//! Packets of the script, given to the stack.

use super::events::Run;
use super::stop::{Stop, fail};
use crate::packetdrill::packet;
use crate::packetdrill::script::{Packet, Payload, Span};

impl Run<'_> {
    /// Builds a packet and lets it arrive now.
    pub(super) fn inbound(&mut self, span: Span, packet: &Packet) -> Result<(), Stop> {
        let built = self.flows.for_inbound(packet).and_then(|flow| packet::build(packet, flow, &self.net));
        let octets = built.or_else(|what| fail(span, what))?;
        let joined = self.net.mss.filter(|mss| data_len(packet) > *mss).unwrap_or(0);
        let received = self.stepper.receive_joined(&octets, joined);
        self.received = Some(received.to_string()).filter(|text| !text.is_empty());
        self.settled()
    }
}

const fn data_len(packet: &Packet) -> u16 {
    match &packet.payload {
        Payload::Tcp(tcp) => tcp.len,
        Payload::Udp(udp) => udp.len,
        Payload::Icmp(_) => 0,
    }
}

//! A packet arrives: through IP to the protocol it is for.

use alloc::vec::Vec;
use core::convert::Infallible;

use super::packet::{OtherEvent, OtherReason, datagrams};
use super::{Checksum, Inbound, Kind, Received, Socket, Stack, Trust};
use crate::addr::{Endpoint, Quad};
use crate::icmp::errors::{self, ErrorKind, Hardness, MAX_V6};
use crate::icmp::quote::as_sent;
use crate::icmp::{self, echo};
use crate::ip::input::{self, Delivery, Refusal};
use crate::ip::output;
use crate::ip::queue::Labels;
use crate::ip::reassembly::{self, Outcome};
use crate::time::Instant;
use crate::wire::WireError;
use crate::wire::icmp::Message;
use crate::wire::ip::{self, Header, Parsed, protocol};
use crate::wire::udp;

/// Octets of the headers of a fragment, and what it is shorter for the next to begin at a multiple of eight.
const MOST_HEADERS: usize = 60;

/// A packet that has passed IP, whole.
struct Whole<'a> {
    header: Header,
    payload: &'a [u8],
    /// The packet as an ICMP error would quote it; made from the header where it came in fragments.
    packet: &'a [u8],
    /// Offset in `packet` of the octet that names the protocol.
    protocol_offset: u16,
    inbound: Inbound<'a>,
    delivery: Delivery,
    /// It came in fragments, of which this was the last that was missing.
    reassembled: bool,
}

impl<'a> Whole<'a> {
    /// What an error is about.
    const fn offending(&self) -> Inbound<'a> {
        Inbound { packet: self.packet, ..self.inbound }
    }
}

/// What became of a UDP datagram that somebody could want.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Delivered {
    /// It waits in a socket's queue.
    Queued,
    /// That queue had no room for it.
    Full,
    /// Of several that came joined the last had none.
    InPart,
    /// Nobody listens to that group or broadcast.
    Nobody,
}

impl Stack {
    /// A packet arrived.
    //= https://www.rfc-editor.org/rfc/rfc8200#section-5
    //= id=rfc8200-5-3
    //# From each link to which a node is directly attached, the node must be able to accept packets as large
    //# as that link's MTU.
    pub fn receive(&mut self, now: Instant, inbound: Inbound<'_>) -> Received {
        self.counters.ip_in_receives += 1;
        if !inbound.lent.is_empty() {
            return self.receive_lent(now, &inbound);
        }
        match self.receive_expected(now, &inbound) {
            Some(()) => Received::Tcp(None),
            None => self.receive_anew(now, inbound),
        }
    }

    /// A packet arrived that nothing is known of.
    #[inline(never)]
    pub(super) fn receive_anew(&mut self, now: Instant, inbound: Inbound<'_>) -> Received {
        // It is looked at where it lies: to move it costs more than to look.
        let parsed = ip::parse(inbound.packet);
        let parsed = match &parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.malformed(*error, &inbound, now),
        };
        if self.is_let_in(&parsed.header) && parsed.header.fragment.is_none() {
            self.counters.ip_in_delivers += 1;
            return self.receive_tcp(now, &parsed.header, parsed.payload, inbound);
        }
        match input::accept(&parsed.header, &self.routes) {
            Ok(delivery) => {
                self.remember_let_in(&parsed.header, delivery);
                self.on_ip(now, *parsed, inbound, delivery)
            }
            Err(Refusal::Martian) => {
                self.counters.ip_in_martian += 1;
                Received::Dropped("martian address")
            }
            Err(Refusal::NotForUs) => {
                self.counters.ip_in_addr_errors += 1;
                Received::Dropped("not for us")
            }
        }
    }

    fn malformed(&mut self, error: WireError, inbound: &Inbound<'_>, now: Instant) -> Received {
        match error {
            WireError::Truncated => self.counters.ip_in_truncated += 1,
            _ => self.counters.ip_in_hdr_errors += 1,
        }
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.5
        //= id=rfc1122-3.2.2.5-1
        //# A host SHOULD generate Parameter Problem messages.
        //= https://www.rfc-editor.org/rfc/rfc792
        //= id=rfc792-front-8
        //# If the gateway or host processing a datagram finds a problem with the header parameters such that
        //# it cannot complete processing the datagram it must discard the datagram.
        if let WireError::Unrecognised { pointer, code, even_multicast } = error {
            //= https://www.rfc-editor.org/rfc/rfc4443#section-3.4
            //= id=rfc4443-3.4-1
            //# If an IPv6 node processing a packet finds a problem with a field in the IPv6 header or extension
            //# headers such that it cannot complete processing the packet, it MUST discard the packet and SHOULD
            //# originate an ICMPv6 Parameter Problem message to the packet's source, indicating the type and
            //# location of the problem.
            let kind = ErrorKind::ParameterProblem { pointer, code, even_multicast };
            self.send_icmp_error(kind, inbound, now);
        }
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.1
        //= id=rfc1122-3.1-6
        //# However, for diagnosis of problems a host SHOULD provide the capability of logging the error (see
        //# Section 1.2.3), including the contents of the silently-discarded datagram, and SHOULD record the
        //# event in a statistics counter.
        Received::Dropped(match error {
            WireError::Truncated => "truncated",
            WireError::Length => "bad length",
            WireError::Version => "unknown IP version",
            WireError::Checksum => "bad IP checksum",
            WireError::Unrecognised { .. } => "header not understood",
            WireError::Discard => "its options forbid it",
        })
    }

    pub(super) fn on_ip(
        &mut self,
        now: Instant,
        parsed: Parsed<'_>,
        inbound: Inbound<'_>,
        delivery: Delivery,
    ) -> Received {
        if parsed.header.fragment.is_none() {
            return self.deliver(
                now,
                Whole {
                    header: parsed.header,
                    payload: parsed.payload,
                    packet: parsed.packet,
                    protocol_offset: parsed.protocol_offset,
                    inbound,
                    delivery,
                    reassembled: false,
                },
            );
        }
        self.counters.ip_reasm_reqds += 1;
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.2
        //= id=rfc1122-3.3.2-1
        //# The IP layer MUST implement reassembly of IP datagrams.
        let outcome = self.reassembly.insert(now, &parsed);
        self.counters.ip_reasm_fails += self.reassembly.take_evicted();
        match outcome {
            Outcome::Pending => Received::Fragment,
            Outcome::Dropped(cause) => {
                self.counters.ip_reasm_fails += u64::from(cause.ends_datagram());
                self.counters.ip_reasm_overlaps += u64::from(cause == reassembly::Cause::Overlap);
                Received::Dropped("fragment refused")
            }
            Outcome::Complete(header, payload) => {
                self.counters.ip_reasm_oks += 1;
                self.on_reassembled(now, header, &payload, delivery)
            }
        }
    }

    fn on_reassembled(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        delivery: Delivery,
    ) -> Received {
        let quote = errors::reassembled(&header, payload);
        // The pieces came without a verdict on the whole.
        let inbound = Inbound::plain(&quote);
        let (header, payload) = if header.src.is_v4() {
            (header, payload)
        } else {
            match ip::walk_v6_payload(header.protocol, header, payload) {
                Ok(walked) => walked,
                // Its pointers count from the payload, and ours from the header that the quote begins with.
                Err(WireError::Unrecognised { pointer, code, even_multicast }) => {
                    let pointer = pointer.saturating_add(ip::V6_HEADER_LEN as u16);
                    let error = WireError::Unrecognised { pointer, code, even_multicast };
                    return self.malformed(error, &inbound, now);
                }
                Err(error) => return self.malformed(error, &inbound, now),
            }
        };
        if delivery != Delivery::Unicast && header.protocol == protocol::TCP {
            self.counters.ip_in_addr_errors += 1;
            return Received::Dropped("not for us");
        }
        if delivery == Delivery::Unicast && self.post_packet(&quote, 0, false) {
            return Received::Fragment;
        }
        let protocol_offset = if header.src.is_v4() { 9 } else { 6 };
        self.deliver(
            now,
            Whole { header, payload, packet: &quote, protocol_offset, inbound, delivery, reassembled: true },
        )
    }

    fn deliver(&mut self, now: Instant, whole: Whole<'_>) -> Received {
        let v4 = whole.header.src.is_v4();
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.1
        //= id=rfc1122-3.1-1
        //# The Internet layer of host software MUST implement both IP and ICMP.
        //= https://www.rfc-editor.org/rfc/rfc792
        //= id=rfc792-front-1
        //# ICMP, uses the basic support of IP as if it were a higher level protocol, however, ICMP is
        //# actually an integral part of IP, and must be implemented by every IP module.
        //= https://www.rfc-editor.org/rfc/rfc8200#section-1
        //= id=rfc8200-1-1
        //# The IPv6 version of ICMP, which all IPv6 implementations are required to include, is specified in
        //# [RFC4443].
        match whole.header.protocol {
            protocol::TCP => {
                self.counters.ip_in_delivers += 1;
                self.receive_tcp(now, &whole.header, whole.payload, whole.inbound)
            }
            protocol::UDP => {
                self.counters.ip_in_delivers += 1;
                self.receive_udp(now, &whole)
            }
            protocol::ICMP if v4 => self.receive_icmp(now, &whole),
            protocol::ICMPV6 if !v4 => self.receive_icmp(now, &whole),
            protocol::NO_NEXT_HEADER if !v4 => Received::Dropped("no next header"),
            _ => {
                self.counters.ip_in_unknown_protos += 1;
                //= https://www.rfc-editor.org/rfc/rfc8200#section-4
                //= id=rfc8200-4-3
                let kind = ErrorKind::ProtocolUnreachable { pointer: whole.protocol_offset };
                self.send_icmp_error(kind, &whole.offending(), now);
                Received::Dropped("unknown protocol")
            }
        }
    }

    fn receive_udp(&mut self, now: Instant, whole: &Whole<'_>) -> Received {
        let (header, payload) = match udp::parse(&whole.header, whole.payload, whole.inbound.trust) {
            Ok(parsed) => parsed,
            Err(error) => {
                //= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.4
                //= id=rfc1122-4.1.3.4-2
                //# If a UDP datagram is received with a checksum that is non-zero and invalid, UDP MUST
                //# silently discard the datagram.
                self.counters.udp_in_errors += 1;
                self.counters.udp_in_csum_errors += u64::from(error == WireError::Checksum);
                return Received::Dropped(match error {
                    WireError::Checksum => "bad UDP checksum",
                    _ => "malformed UDP header",
                });
            }
        };
        let from = Endpoint::new(whole.header.src, header.src_port);
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
        //= id=rfc1122-3.4-3
        //# Since this may be a broadcast or multicast address, the SpecDest parameter (not shown in RFC-791)
        //# MUST be passed.
        //= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.5
        //= id=rfc1122-4.1.3.5-1
        //# When a UDP datagram is received, its specific-destination address MUST be passed up to the
        //# application layer.
        let to = Endpoint::new(whole.header.dst, header.dst_port);
        let segment_size = if whole.reassembled { 0 } else { whole.inbound.gso_size };
        let labels = Labels::of(&whole.header);
        match self.deliver_udp((from, to), labels, payload, segment_size, whole.delivery) {
            Some(Delivered::Queued) if whole.reassembled => {
                Received::Udp("whole with this fragment, delivered")
            }
            Some(Delivered::Queued) => Received::Udp("delivered"),
            //= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
            //= id=rfc4443-3.1-2
            //# (An ICMPv6 message MUST NOT be generated if a packet is dropped due to congestion.)
            Some(Delivered::Full) => Received::Udp("dropped: the socket's queue is full"),
            Some(Delivered::InPart) => {
                Received::Udp("delivered, but for the last: the socket's queue is full")
            }
            Some(Delivered::Nobody) => Received::Udp("nobody listens to that group or broadcast"),
            None => {
                self.counters.udp_no_ports += datagrams(payload, segment_size) as u64;
                //= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
                //= id=rfc1122-3.4-5
                //# The transport layer MUST be able to send certain ICMP messages: Port Unreachable or any
                //# of the query-type messages.
                //= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.1
                //= id=rfc1122-4.1.3.1-1
                //# If a datagram arrives addressed to a UDP port for which there is no pending LISTEN call,
                //# UDP SHOULD send an ICMP Port Unreachable message.

                //= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
                //= id=rfc4443-3.1-4
                //# A destination node SHOULD originate a Destination Unreachable message with Code 4 in response to
                //# a packet for which the transport protocol (e.g., UDP) has no listener, if that transport
                //# protocol has no alternative means to inform the sender.
                self.send_icmp_error(ErrorKind::PortUnreachable, &whole.offending(), now);
                Received::Udp("nobody at that port")
            }
        }
    }

    fn receive_icmp(&mut self, now: Instant, whole: &Whole<'_>) -> Received {
        self.counters.icmp_in_msgs += 1;
        let message = match crate::wire::icmp::parse(&whole.header, whole.payload, whole.inbound.trust) {
            Ok(message) => message,
            Err(error) => {
                self.counters.icmp_in_errors += 1;
                return Received::Dropped(match error {
                    WireError::Checksum => "bad ICMP checksum",
                    _ => "malformed ICMP message",
                });
            }
        };
        match message {
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
            //= id=rfc1122-3.2.2.6-1
            //# Every host MUST implement an ICMP Echo server function that receives Echo Requests and sends
            //# corresponding Echo Replies.
            Message::EchoRequest { .. } => {
                self.counters.icmp_in_echos += 1;
                //= https://www.rfc-editor.org/rfc/rfc4443#section-4.1
                //= id=rfc4443-4.1-1
                //# Every node MUST implement an ICMPv6 Echo responder function that receives Echo Requests and
                //# originates corresponding Echo Replies.
                match echo::reply(&message, &whole.header, &self.routes, self.config.hop_limit) {
                    Some((header, bytes)) => {
                        self.counters.icmp_out_msgs += 1;
                        self.send_ip(header, &bytes, OtherReason::EchoReply, now);
                        Received::Icmp(match whole.reassembled {
                            true => "echo request: whole with this fragment, answered",
                            false => "echo request: answered",
                        })
                    }
                    None => Received::Icmp("echo request: not answered"),
                }
            }
            Message::EchoReply { id, .. } => {
                self.counters.icmp_in_echo_reps += 1;
                //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
                //= id=rfc1122-3.2.2.6-6
                //# Echo Reply messages MUST be passed to the ICMP user interface, unless the corresponding
                //# Echo Request originated in the IP layer.

                //= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
                //= id=rfc4443-4.2-5
                //# Echo Reply messages MUST be passed to the process that originated an Echo Request message.
                if self.deliver_echo(id, &whole.header, whole.payload) {
                    Received::Icmp(match whole.reassembled {
                        true => "echo reply: whole with this fragment, delivered",
                        false => "echo reply: delivered",
                    })
                } else {
                    Received::Icmp("echo reply: nobody waits for it")
                }
            }
            _ => match icmp::errors::interpret(&message) {
                //= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
                //= id=rfc4443-3.1-6
                //# A node receiving the ICMPv6 Destination Unreachable message MUST notify the upper-layer process
                //# if the relevant process can be identified (see Section 2.4, (d)).
                //= https://www.rfc-editor.org/rfc/rfc4443#section-3.2
                //= id=rfc4443-3.2-2
                //# An incoming Packet Too Big message MUST be passed to the upper-layer process if the relevant
                //# process can be identified (see Section 2.4, (d)).
                //= https://www.rfc-editor.org/rfc/rfc4443#section-3.3
                //= id=rfc4443-3.3-1
                //# An incoming Time Exceeded message MUST be passed to the upper-layer process if the relevant
                //# process can be identified (see Section 2.4, (d)).
                //= https://www.rfc-editor.org/rfc/rfc4443#section-3.4
                //= id=rfc4443-3.4-2
                //# A node receiving this ICMPv6 message MUST notify the upper-layer process if the relevant process
                //# can be identified (see Section 2.4, (d)).
                Some(report) => self.on_icmp_error(&report, now),
                //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
                //= id=rfc1122-3.2.2-1
                //# If an ICMP message of unknown type is received, it MUST be silently discarded.
                //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.7
                //= id=rfc1122-3.2.2.7-1
                //# A host SHOULD NOT implement these messages.
                //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.2
                //= id=rfc1122-3.2.2.2-4
                //# A Redirect message SHOULD be silently discarded if the new gateway address it specifies
                //# is not on the same connected (sub-) net through which the Redirect arrived [INTRO:2,
                //# Appendix A], or if the source of the Redirect is not the current first-hop gateway for
                //# the specified destination (see Section 3.3.1).

                //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
                //= id=rfc4443-2.4-3
                //# (b) If an ICMPv6 informational message of unknown type is received, it MUST be silently
                //# discarded.
                None => Received::Icmp("ignored"),
            },
        }
    }

    /// An error about something we are said to have sent. It is believed when what it quotes is really ours
    /// (RFC 5927 §4).
    fn on_icmp_error(&mut self, report: &icmp::errors::Report<'_>, now: Instant) -> Received {
        let quoted = &report.quoted;
        let hard = report.hardness == Hardness::Hard;
        let unproven = Received::Icmp("error about nothing of ours: ignored");
        if !self.routes.is_local(quoted.src) {
            self.counters.icmp_in_unproven += 1;
            return unproven;
        }
        let quad = quoted.ports().map(|(local, remote)| Quad {
            local: Endpoint::new(quoted.src, local),
            remote: Endpoint::new(quoted.dst, remote),
        });
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
        //= id=rfc1122-3.2.2-2
        //# In those cases where the Internet layer is required to pass an ICMP error message to the
        //# transport layer, the IP protocol number MUST be extracted from the original header and used to
        //# select the appropriate transport protocol entity to handle the error.
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
        //= id=rfc1122-3.4-6
        //# The IP layer MUST pass certain ICMP messages up to the appropriate transport-layer routine.
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
        //= id=rfc1122-3.2.2.1-2
        //# A Destination Unreachable message that is received MUST be reported to the transport layer.
        let believed = match quoted.protocol {
            protocol::TCP => match (quad, quoted.tcp_seq()) {
                //= https://www.rfc-editor.org/rfc/rfc8201#section-4
                //= id=rfc8201-4-1
                //# Nodes should appropriately validate the payload of ICMPv6 PTB messages to ensure these are
                //# received in response to transmitted traffic (i.e., a reported error condition that corresponds
                //# to an IPv6 packet actually sent by the application) per [ICMPv6].
                (Some(quad), Some(seq)) if self.is_in_flight(quad, seq) => {
                    self.learn_path_mtu(report, self.largest_in_flight(quad), now);
                    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
                    //# TCP implementations MUST act on an ICMP error message passed up from the IP layer,
                    //# directing it to the connection that created the error (MUST-54).
                    self.on_tcp_error(quad, seq, hard, report.error, report.packet_too_big, now)
                }
                _ => false,
            },
            protocol::UDP => quad.is_some_and(|quad| {
                let ours = self.report_udp(quad, report.error, hard);
                if ours {
                    self.learn_path_mtu(report, 0, now);
                }
                ours
            }),
            protocol::ICMP | protocol::ICMPV6 => {
                let ours = quoted
                    .echo_id()
                    .is_some_and(|id| self.report_echo(id, quoted.src, quoted.dst, report.error, hard));
                if ours {
                    self.learn_path_mtu(report, 0, now);
                }
                ours
            }
            _ => false,
        };
        if believed {
            Received::Icmp("error: told to its socket")
        } else {
            self.counters.icmp_in_unproven += 1;
            unproven
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc8200#section-5
    //= id=rfc8200-5-4
    //# It is strongly recommended that IPv6 nodes implement Path MTU Discovery [RFC8201], in order to
    //# discover and take advantage of path MTUs greater than 1280 octets.
    ///
    /// What is said of the size of the packet may be that of the quotation alone: where a packet of `sent` octets is in flight,
    /// that could have been too big (RFC 5927 §7.2, maxsizesent).
    fn learn_path_mtu(&mut self, report: &icmp::errors::Report<'_>, sent: u16, now: Instant) {
        if let Some(mtu) = report.packet_too_big {
            let len = if mtu == 0 { report.quoted_len } else { report.quoted_len.max(sent) };
            self.path_mtu.update(report.quoted.dst, mtu, len, now, self.config.mtu);
        }
    }

    /// Octets of the largest packet that the connection has in flight, options not counted; 0 where there is none.
    fn largest_in_flight(&self, quad: Quad) -> u16 {
        let index = self.table.find(&quad, super::settle::quad_of(&self.slab, &self.time_waits));
        match index.and_then(|i| self.slab.by_index(i)) {
            Some(Socket { kind: Kind::Connection(tcb), .. }) => tcb.largest_in_flight(),
            _ => 0,
        }
    }

    /// Sends an ICMP error about a packet, where one may be sent.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.8
    //= id=rfc1122-3.3.8-1
    //# Wherever practical, hosts MUST return ICMP error datagrams on detection of an error, except in those
    //# cases where returning an ICMP error message is specifically prohibited.
    pub(super) fn send_icmp_error(&mut self, kind: ErrorKind, inbound: &Inbound<'_>, now: Instant) {
        let about = |packet| errors::build(kind, packet, &self.routes, self.config.hop_limit);
        let Some(mut error) = about(inbound.packet) else { return };
        //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
        //= id=rfc4443-2.4-6
        //# (f) Finally, in order to limit the bandwidth and forwarding costs incurred by originating ICMPv6
        //# error messages, an IPv6 node MUST limit the rate of ICMPv6 error messages it originates.
        if !self.icmp_limit.allow(now) {
            self.counters.icmp_out_rate_limited += 1;
            return;
        }
        // To sum a packet is dear, so it is done for what leaves alone.
        let touched = inbound.trust == Trust::Trusted || inbound.gso_size != 0;
        if touched && let Some(sent) = as_sent(inbound.packet, inbound.gso_size, MAX_V6) {
            error = about(&sent).unwrap_or(error);
        }
        self.counters.icmp_out_msgs += 1;
        self.send_ip(error.0, &error.1, OtherReason::Error(kind), now);
    }

    /// Queues an IP packet, cut in fragments where it must be. Says whether it fits at all.
    pub(super) fn send_ip(
        &mut self,
        header: Header,
        payload: &[u8],
        reason: OtherReason,
        now: Instant,
    ) -> bool {
        let mtu = self.path_mtu.get(header.dst, now, self.config.mtu);
        self.send_ip_within(header, payload, mtu, reason)
    }

    /// As [`send_ip`](Self::send_ip), on a path that takes `mtu` octets.
    pub(super) fn send_ip_within(
        &mut self,
        header: Header,
        payload: &[u8],
        mtu: u16,
        reason: OtherReason,
    ) -> bool {
        let mtu = usize::from(mtu);
        let id = self.ids.next(header.src, header.dst);
        let count = payload.len() / mtu.saturating_sub(MOST_HEADERS).max(8) + 1;
        if !self.has_room_to_depart(payload.len() + count * MOST_HEADERS, count) {
            self.counters.ip_out_discards += 1;
            return true;
        }
        let departures = &mut self.departures;
        let mut fragment = 0;
        let made = output::fragment(header, payload, mtu, id, |packet: Vec<u8>| {
            fragment += 1;
            let event = OtherEvent { reason, fragment, fragments: 1 };
            let Ok(()) = departures.push::<Infallible>(event, |octets| {
                octets.extend_from_slice(&packet);
                Ok(Checksum::Complete)
            });
        });
        match made {
            Ok(0 | 1) => true,
            Ok(count) => {
                self.departures.end_fragments(count);
                self.counters.ip_frag_oks += 1;
                self.counters.ip_frag_creates += count as u64;
                true
            }
            Err(_) => {
                self.counters.ip_frag_fails += 1;
                false
            }
        }
    }

    /// Gives up what did not become whole in time.
    pub(super) fn expire_reassembly(&mut self, now: Instant) {
        while let Some(expired) = self.reassembly.expire(now) {
            self.counters.ip_reasm_fails += 1;
            self.counters.ip_reasm_timeout += 1;
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.2
            //= id=rfc1122-3.3.2-6
            //# If this timeout expires, the partially-reassembled datagram MUST be discarded and an ICMP
            //# Time Exceeded message sent to the source host (if fragment zero has been received).
            //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
            //= id=rfc8200-4.5-9
            //# If the first fragment (i.e., the one with a Fragment Offset of zero) has been received, an
            //# ICMP Time Exceeded -- Fragment Reassembly Time Exceeded message should be sent to the source
            //# of that fragment.
            if let Some(packet) = expired.first_fragment {
                self.send_icmp_error(ErrorKind::ReassemblyTimeExceeded, &Inbound::plain(&packet), now);
            }
        }
    }
}

//! A packet out, as far as two stacks are to agree in it.

use tunstack::packetdrill::flow::{Flow, Flows};
use tunstack::packetdrill::net::Net;
use tunstack::packetdrill::packet::{self, SeenOption, read};
use tunstack::packetdrill::script::{
    Direction, Flags, Icmp, IpLabels, Packet, Payload, Ports, Quoted, Tcp, TcpOption, Udp,
};
use tunstack::packetdrill::seen::{Carried, Seen, SeenTcp};

/// What a script has for the first TSval of a side.
const FIRST_TS: u32 = 100;

const SYN: u16 = 2;
const PSH: u16 = 8;
const ACK: u16 = 16;

/// A packet that a side sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    /// Which connection it is of. A port that the side chose is none.
    pub(crate) of: String,
    /// As a script has it.
    pub(crate) text: String,
    /// Why, where the side says it.
    pub(crate) why: Option<String>,
    /// What is compared: names and values.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// Lets the connections know of a packet, and takes from it what is compared.
pub(crate) fn observe(
    flows: &mut Flows,
    net: &Net,
    seen: &Seen,
    windows: bool,
    why: Option<String>,
) -> Result<Sent, String> {
    let expected = as_expected(seen);
    let mut fields = vec![
        ("DSCP and ECN", seen.ip.tos.to_string()),
        ("TTL", seen.ip.ttl.to_string()),
        ("DF", seen.ip.dont_fragment.to_string()),
    ];
    let flow = flows.for_outbound(&expected, seen)?;
    match flow {
        Some(flow) => {
            if !flow.has_ts() {
                flow.learn(&expected, seen);
            }
            own_fields(&mut fields, seen, Some(flow), windows);
            Ok(Sent { of: key(net, seen), text: packet::print(seen, Some(flow)), why, fields })
        }
        None => {
            let flow = flows.of(seen).cloned();
            own_fields(&mut fields, seen, flow.as_ref(), windows);
            Ok(Sent { of: key(net, seen), text: packet::print(seen, flow.as_ref()), why, fields })
        }
    }
}

/// The connection: a port that the script knows, and the protocol.
fn key(net: &Net, seen: &Seen) -> String {
    let (from, to) = seen.ends();
    let from = if from.port() == net.bind_port { from.port() } else { 0 };
    match seen.carried {
        Carried::Tcp(_) => format!("TCP {from} to {}", to.port()),
        Carried::Udp(_) => format!("UDP {from} to {}", to.port()),
        Carried::Icmp(_) => "ICMP".to_owned(),
        Carried::Other { protocol, .. } => format!("protocol {protocol}"),
    }
}

/// What a script would have to say to expect exactly this packet, whose first numbers are 0.
fn as_expected(seen: &Seen) -> Packet {
    let payload = match &seen.carried {
        Carried::Tcp(tcp) => Payload::Tcp(Tcp {
            ports: Some(Ports { source: tcp.src_port, destination: tcp.dst_port }),
            flags: Flags { bits: tcp.flags, ace: None },
            seq: 0,
            len: 0,
            ack: 0,
            window: None,
            urgent: 0,
            options: Some(vec![TcpOption::Timestamps { val: FIRST_TS, ecr: 0 }]),
        }),
        Carried::Udp(udp) => Payload::Udp(Udp {
            ports: Some(Ports { source: udp.src_port, destination: udp.dst_port }),
            len: 0,
        }),
        Carried::Icmp(_) | Carried::Other { .. } => Payload::Icmp(Icmp {
            kind: "0".to_owned(),
            code: None,
            mtu: None,
            id: None,
            quoted: Quoted::Unsaid,
        }),
    };
    Packet { direction: Direction::Outbound, outer: Vec::new(), ip: IpLabels::default(), payload }
}

fn own_fields(fields: &mut Vec<(&'static str, String)>, seen: &Seen, flow: Option<&Flow>, windows: bool) {
    match &seen.carried {
        Carried::Tcp(tcp) => segment(fields, tcp, flow, windows),
        Carried::Udp(udp) => fields.push(("length", udp.len.to_string())),
        Carried::Icmp(icmp) => {
            fields.push(("type and code", format!("{} {}", icmp.kind, icmp.code)));
            fields.push(("length of what is quoted", icmp.body.len().to_string()));
        }
        Carried::Other { len, .. } => fields.push(("length", len.to_string())),
    }
}

fn segment(fields: &mut Vec<(&'static str, String)>, tcp: &SeenTcp, flow: Option<&Flow>, windows: bool) {
    let syn = tcp.flags & SYN != 0;
    // When data are pushed is for each sender to say, as long as the last are (RFC 9293 §3.9.1).
    fields.push(("flags", flags(tcp.flags & !PSH)));
    let (seq, ack) = match flow {
        Some(flow) => (flow.script_local_seq(tcp.seq, syn), flow.script_remote_seq(tcp.ack, syn)),
        None => (tcp.seq, tcp.ack),
    };
    // That of a SYN is any.
    if !syn {
        fields.push(("sequence number", seq.to_string()));
    }
    if tcp.flags & ACK != 0 {
        fields.push(("acknowledgment number", ack.to_string()));
    }
    fields.push(("length", tcp.len.to_string()));
    fields.push(("urgent pointer", tcp.urgent.to_string()));
    if windows {
        fields.push(("window", tcp.window.to_string()));
    }
    let mut options: Vec<String> =
        read(&tcp.options).into_iter().filter_map(|option| shown(option, flow, syn)).collect();
    // In which order they stand is the sender's own affair.
    options.sort();
    fields.push(("options", options.join(", ")));
}

fn flags(bits: u16) -> String {
    const LETTERS: [(u16, char); 9] =
        [(1, 'F'), (2, 'S'), (4, 'R'), (8, 'P'), (16, '.'), (32, 'U'), (64, 'E'), (128, 'W'), (256, 'A')];
    LETTERS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| letter).collect()
}

/// TSvals are the side's own; padding too.
fn shown(option: SeenOption, flow: Option<&Flow>, syn: bool) -> Option<String> {
    Some(match option {
        SeenOption::Known(TcpOption::Nop | TcpOption::Eol) => return None,
        SeenOption::Known(TcpOption::Timestamps { ecr, .. }) => format!("TS ecr {ecr}"),
        SeenOption::Known(TcpOption::Sack(blocks)) => {
            let edge = |edge| flow.map_or(edge, |flow| flow.script_remote_seq(edge, syn));
            let blocks = blocks.iter().map(|&(left, right)| format!("{}:{}", edge(left), edge(right)));
            format!("sack {}", blocks.collect::<Vec<_>>().join(" "))
        }
        SeenOption::Known(TcpOption::Mss(mss)) => format!("mss {mss}"),
        SeenOption::Known(TcpOption::WindowScale(shift)) => format!("wscale {shift}"),
        other => format!("{other:?}"),
    })
}

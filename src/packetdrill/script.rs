//! A script as it was written: what the parser gives and the runner runs.
//!
//! Everything keeps its place in the text, so that whatever goes wrong with it can be shown there.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

/// Where something stands in the text: octets from its start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// The first octet.
    pub start: usize,
    /// The octet behind the last.
    pub end: usize,
}

impl Span {
    /// From `self`'s start to `other`'s end.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }

    /// As a range of the text.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A whole script.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Script {
    /// `--name=value` lines at its head.
    pub options: Vec<OptionLine>,
    /// A command before time begins.
    pub init: Option<Command>,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// A command after the last event, however that went.
    pub cleanup: Option<Command>,
}

/// `--name` or `--name=value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OptionLine {
    /// Without the dashes.
    pub name: String,
    /// What is behind `=`, unquoted; of `--define=SYMBOL=value` the whole `SYMBOL=value` as it was written.
    pub value: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// A command for the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// What is between the back-ticks.
    pub line: String,
    /// Where it stands.
    pub span: Span,
}

/// One thing that happens at its time.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// When.
    pub time: EventTime,
    /// What.
    pub action: Action,
    /// The whole event, time and all.
    pub span: Span,
}

/// When an event happens, or may happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventTime {
    /// `1.5`: from the script's start.
    Absolute(Duration),
    /// `+1.5`: from the event before.
    Relative(Duration),
    /// `*`: whenever it comes. Outbound packets only.
    Any,
    /// `1~2`. Outbound packets only.
    AbsoluteRange(Duration, Duration),
    /// `+1~+2`. Outbound packets only.
    RelativeRange(Duration, Duration),
}

/// What an event does or expects.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A packet into the stack, or expected from it.
    Packet(Box<Packet>),
    /// A system call, and what it is to give.
    Syscall(Box<Syscall>),
    /// A command for the shell.
    Command(Command),
    /// `%{ … }%`, Python.
    Code(Code),
}

/// `%{ … }%`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    /// What is between the marks, without blanks at its ends.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Which way a packet goes, seen from the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// `<`: made by the runner and given to the stack.
    Inbound,
    /// `>`: expected from the stack.
    Outbound,
}

/// One packet.
#[derive(Clone, PartialEq, Debug)]
pub struct Packet {
    /// Which way.
    pub direction: Direction,
    /// Outer IP headers that enclose it, outermost first: addresses, each with its labels.
    pub outer: Vec<(IpAddr, IpAddr, IpLabels)>,
    /// What is said of its IP header.
    pub ip: IpLabels,
    /// What it carries.
    pub payload: Payload,
}

impl Packet {
    /// Whether it says which connection it belongs to.
    pub const fn names_ports(&self) -> bool {
        match &self.payload {
            Payload::Tcp(tcp) => tcp.ports.is_some(),
            Payload::Udp(udp) => udp.ports.is_some(),
            Payload::Icmp(_) => false,
        }
    }
}

/// What a script says of an IP header; what it does not say is not compared, and has its default inbound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IpLabels {
    /// The octet of DSCP and ECN.
    pub tos: Tos,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// 20 bits. IPv6 only.
    pub flow_label: Option<u32>,
}

/// What a script says of DSCP and ECN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tos {
    /// Nothing.
    #[default]
    Unsaid,
    /// `[noecn]`, `[ect1]`, `[ect0]`, `[ce]`: the two bits of ECN, 0 to 3.
    Ecn(u8),
    /// `[ect01]`: either of the two. Outbound only.
    Ect01,
    /// `[tos 0x..]`: the whole octet.
    Octet(u8),
}

/// What a packet carries.
#[derive(Clone, PartialEq, Debug)]
pub enum Payload {
    /// A TCP segment.
    Tcp(Tcp),
    /// A UDP datagram.
    Udp(Udp),
    /// An ICMP or ICMPv6 message.
    Icmp(Icmp),
}

/// `1234 > 8080`: source and destination as they stand in the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// The source's.
    pub source: u16,
    /// The destination's.
    pub destination: u16,
}

/// A TCP segment.
#[derive(Clone, PartialEq, Debug)]
pub struct Tcp {
    /// Where a script has more than one connection.
    pub ports: Option<Ports>,
    /// Its flags.
    pub flags: Flags,
    /// The sequence number it starts with, relative to the connection's first.
    pub seq: u32,
    /// Octets of data.
    pub len: u16,
    /// The acknowledgment number, relative to the other side's first. 0 where none is written.
    pub ack: u32,
    /// The window as it stands in the header. Unsaid: not compared, and inbound it is 0.
    pub window: Option<u16>,
    /// The urgent pointer as it stands in the header, 0 where none is written.
    pub urgent: u16,
    /// Its options. `None` for `<...>`: whatever they are. Outbound only.
    pub options: Option<Vec<TcpOption>>,
}

/// The flags of a segment, each as a bit of the header's 16 bits of offset and flags; AE is 0x100.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// `F` 1, `S` 2, `R` 4, `P` 8, `.` 16, `U` 32, `E` 64, `W` (CWR; also `C`) 128, `A` 256.
    pub bits: u16,
    /// A digit: the three bits of AccECN's ACE counter (RFC 9768), which are AE, CWR and ECE together. `bits` has none
    /// of the three then.
    pub ace: Option<u8>,
}

impl Flags {
    /// The bits that the ACE counter has: AE, CWR and ECE.
    pub const ACE: u16 = 0x1c0;

    /// All of them as they stand in the header, the counter among them.
    pub fn in_header(self) -> u16 {
        self.bits | u16::from(self.ace.unwrap_or(0)) << 6
    }
}

/// A TCP option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TcpOption {
    /// `nop`.
    Nop,
    /// `eol`.
    Eol,
    /// `mss 1460`.
    Mss(u16),
    /// `wscale 7`.
    WindowScale(u8),
    /// `sackOK`.
    SackPermitted,
    /// `sack 1:2 5:6`, relative as sequence numbers are.
    Sack(Vec<(u32, u32)>),
    /// `TS val 100 ecr 200`.
    Timestamps {
        /// TSval.
        val: u32,
        /// TSecr.
        ecr: u32,
    },
    /// `md5 0011…`: the digest as written, or nothing.
    Md5(Vec<u8>),
    /// `UTO sec 100`, `UTO min 5`: the user timeout (RFC 5482), its field with the granularity bit. The original tool has no
    /// word for it.
    UserTimeout(u16),
    /// `FO cookie`: Fast Open (RFC 7413).
    FastOpen(Vec<u8>),
    /// `FOEXP cookie`: the same under the experimental kind.
    FastOpenExperimental(Vec<u8>),
    /// `ECN e0b 1 ceb 2 e1b 3`: AccECN (RFC 9768).
    AccEcn(AccEcn),
}

/// The counters of an AccECN option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccEcn {
    /// Which of the two orders: whether `e1b` comes first.
    pub e1b_first: bool,
    /// Up to three counters of 24 bits in the order they were written.
    pub counters: [Option<u32>; 3],
}

/// A UDP datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Udp {
    /// Where a script has more than one flow.
    pub ports: Option<Ports>,
    /// Octets of data.
    pub len: u16,
}

/// An ICMP message about a packet of the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// `unreachable`, `echo_request` …: a name or a number, whose meaning is the address family's.
    pub kind: String,
    /// `port_unreachable`, `frag_needed` …
    pub code: Option<String>,
    /// `mtu 1200`.
    pub mtu: Option<u32>,
    /// `id 7` of an echo.
    pub id: Option<u16>,
    /// What of the connection it quotes.
    pub quoted: Quoted,
}

/// The packet that an ICMP message quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Quoted {
    /// Nothing was written: a segment of TCP that starts at 0, without data.
    #[default]
    Unsaid,
    /// `[1:1461(1460)]`.
    Tcp {
        /// Relative, as in a segment.
        seq: u32,
        /// Octets of data.
        len: u16,
    },
    /// `[udp (100)]`.
    Udp {
        /// Octets of data.
        len: u16,
    },
    /// `[raw (100)]`: octets of an unknown protocol.
    Raw {
        /// How many.
        len: u16,
    },
}

/// A system call.
#[derive(Clone, PartialEq, Debug)]
pub struct Syscall {
    /// When it is to return, if it waits: from the script's start or, behind a relative time, from what that counts from,
    /// so that `+.1...0.2` lasts 0.1 s.
    pub end: Option<Duration>,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
    /// What it gives.
    pub result: Value,
    /// The name of the error, `EAGAIN`.
    pub errno: Option<String>,
    /// What is in brackets behind it, as strace has it. Not compared.
    pub note: Option<String>,
    /// Where the call stands, from name to note.
    pub span: Span,
}

/// An argument or a result.
#[derive(Clone, PartialEq, Debug)]
pub struct Value {
    /// What it is.
    pub kind: ValueKind,
    /// Where it stands.
    pub span: Span,
}

/// What a value is. Words keep their names: what a name means depends on where it stands.
#[derive(Clone, PartialEq, Debug)]
pub enum ValueKind {
    /// `...`: anything, or a buffer that the runner makes.
    Ellipsis,
    /// A number; `inet_addr("…")` is one too, as the octets stand in memory, except as a field's value.
    Integer(i64),
    /// A name.
    Word(String),
    /// `"text"`, pieces joined; whether `...` follows it.
    Text(Vec<u8>, bool),
    /// `a|b|c`.
    Or(Vec<Value>),
    /// `name = value`, as in a list of named values.
    Named(String, Box<Value>),
    /// `[a, b]`.
    List(Vec<Value>),
    /// `{a, b}` and `{name=a, name(...)=b}`: a structure, its fields with names where they have them.
    Struct(Vec<Field>),
    /// `htons(8080)`, `inet6_addr("…")` and the like, their argument in its range; and as a field's value
    /// `inet_addr("…")`, of an address of either family.
    Call(String, Vec<Value>),
}

/// A field of a structure.
#[derive(Clone, PartialEq, Debug)]
pub struct Field {
    /// `msg_iov` of `msg_iov(1)=[…]`; `None` where only a value stands.
    pub name: Option<String>,
    /// `1` of `msg_iov(1)=[…]`.
    pub count: Option<Value>,
    /// What is behind `=`, or alone.
    pub value: Value,
}

//! What a case is made of: two stacks' settings, what the programs do, what the link does.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The settings of one host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostCase {
    pub(crate) window_scaling: bool,
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    pub(crate) nodelay: bool,
    pub(crate) cork: bool,
    pub(crate) keepalive: bool,
    pub(crate) send_buffer: u32,
    pub(crate) receive_buffer: u32,
    /// Hands frames over to keep, reads and writes without a copy.
    pub(crate) zero_copy: bool,
}

/// What a program does with a connection: it writes, and beside that it reads.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Octets and how long to wait, ms, before they are written. Then the writing side is shut down.
    pub(crate) writes: Vec<(u32, u16)>,
    /// Octets and how long to wait, ms, before they are read. Then all is read, up to the end.
    pub(crate) reads: Vec<(u32, u16)>,
    /// Something else comes first, so many ms after the connection was opened.
    pub(crate) cut: Option<(u16, Cut)>,
}

impl Script {
    /// Whether the program stops to read.
    pub(crate) fn is_deaf(&self) -> bool {
        matches!(self.cut, Some((_, Cut::ShutdownRead)))
    }
}

/// How a program leaves its script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// It closes, whatever is unread or unwritten.
    Close,
    /// It aborts.
    Abort,
    /// It reads no more, and writes to the end.
    ShutdownRead,
    /// It writes no more, and reads to the end.
    ShutdownWrite,
    /// It does neither any more, and closes a second later.
    ShutdownBoth,
}

/// What happens to one packet.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    None,
    Drop,
    Duplicate,
    /// It arrives so many ms later than its neighbours.
    Delay(u16),
    /// So many octets of it arrive.
    Truncate(u16),
    /// A bit of it is flipped.
    Flip(u16),
    /// It arrives, and after so many seconds once more.
    Replay(u16),
    /// Something else arrives as well.
    Inject(Garbage),
}

/// A packet out of nowhere.
#[derive(Clone, Debug)]
pub(crate) enum Garbage {
    /// Octets, with nothing right about them.
    Noise(Vec<u8>),
    /// A valid IP header, and a payload for this protocol with nothing right about it.
    Payload(u8, Vec<u8>),
    /// A segment of this very connection with right checksums, but sequence and acknowledgment numbers
    /// around the far side of the sequence space.
    Far { seq: u16, ack: u16, bits: u16, options: Vec<u8>, text: Vec<u8> },
    /// A segment between other ports.
    Stray { port: u16, seq: u32, ack: u32, bits: u16 },
}

/// A whole case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) v6: bool,
    pub(crate) mtu: u16,
    /// One way, ms.
    pub(crate) delay: u16,
    /// Of the stacks.
    pub(crate) seed: u64,
    /// The initial sequence number of this host (0: client) comes so shortly before the wrap.
    pub(crate) wrap: Option<(bool, u32)>,
    pub(crate) hosts: [HostCase; 2],
    pub(crate) scripts: [Script; 2],
    /// What happens to the first packets of each direction; all others arrive.
    pub(crate) links: [Vec<Fault>; 2],
}

fn host() -> impl Strategy<Value = HostCase> {
    let buffer = || {
        prop_oneof![
            4 => Just(1u32 << 20),
            3 => select(vec![1u32, 2, 3, 27, 28, 100, 535, 536, 1460, 4096, 65_535, 65_536]),
            1 => 1u32..200_000,
        ]
    };
    (any::<[bool; 7]>(), buffer(), buffer()).prop_map(
        |([no_scaling, no_timestamps, no_sack, nodelay, cork, keepalive, zero_copy], send, receive)| {
            HostCase {
                window_scaling: !no_scaling,
                timestamps: !no_timestamps,
                sack: !no_sack,
                nodelay,
                cork,
                keepalive,
                send_buffer: send,
                receive_buffer: receive,
                zero_copy,
            }
        },
    )
}

/// Mostly no pause, mostly a short one.
fn pause() -> impl Strategy<Value = u16> {
    prop_oneof![4 => Just(0u16), 3 => 0u16..500, 1 => any::<u16>()]
}

fn script() -> impl Strategy<Value = Script> {
    let octets = || prop_oneof![3 => 0u32..3_000, 1 => 0u32..60_000];
    let cut = prop_oneof![
        Just(Cut::Close),
        Just(Cut::Abort),
        Just(Cut::ShutdownRead),
        Just(Cut::ShutdownWrite),
        Just(Cut::ShutdownBoth)
    ];
    let cut = prop_oneof![3 => Just(None), 1 => (pause(), cut).prop_map(Some)];
    (vec((octets(), pause()), 0..6), vec((octets(), pause()), 0..4), cut)
        .prop_map(|(writes, reads, cut)| Script { writes, reads, cut })
}

fn garbage() -> impl Strategy<Value = Garbage> {
    let octets = |max| vec(any::<u8>(), 0..max);
    prop_oneof![
        octets(80).prop_map(Garbage::Noise),
        (select(vec![1u8, 6, 17, 58, 0, 43, 44, 60, 50]), octets(80))
            .prop_map(|(p, o)| Garbage::Payload(p, o)),
        (any::<(u16, u16, u16)>(), octets(40), octets(40))
            .prop_map(|((seq, ack, bits), options, text)| { Garbage::Far { seq, ack, bits, options, text } }),
        any::<(u16, u32, u32, u16)>().prop_map(|(port, seq, ack, bits)| Garbage::Stray {
            port,
            seq,
            ack,
            bits
        }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        10 => Just(Fault::None),
        4 => Just(Fault::Drop),
        2 => Just(Fault::Duplicate),
        2 => (0u16..2_000).prop_map(Fault::Delay),
        1 => (0u16..1_500).prop_map(Fault::Truncate),
        1 => any::<u16>().prop_map(Fault::Flip),
        1 => (0u16..400).prop_map(Fault::Replay),
        2 => garbage().prop_map(Fault::Inject),
    ]
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let mtu = any::<bool>().prop_flat_map(|v6| {
        let odd = if v6 { 1280u16..9_000 } else { 68u16..1_500 };
        let small = if v6 { 1280 } else { 68 };
        prop_oneof![3 => Just(1500u16), 1 => Just(small), 2 => odd].prop_map(move |mtu| (v6, mtu))
    });
    let wrap = proptest::option::of((any::<bool>(), 0u32..100_000));
    (
        mtu,
        prop_oneof![2 => 0u16..5, 2 => 5u16..100, 1 => 100u16..700],
        any::<u64>(),
        wrap,
        [host(), host()],
        [script(), script()],
        [vec(fault(), 0..60), vec(fault(), 0..60)],
    )
        .prop_map(|((v6, mtu), delay, seed, wrap, hosts, scripts, links)| {
            let mut case = Case { v6, mtu, delay, seed, wrap, hosts, scripts, links };
            case.bound();
            case
        })
}

impl Case {
    /// Tiny buffers and segments take a packet and a round trip for each handful of octets: fewer octets do.
    fn bound(&mut self) {
        for way in 0..2 {
            let buffers = self.hosts[way].send_buffer.min(self.hosts[1 - way].receive_buffer);
            let step = buffers.min(u32::from(self.mtu) / 2);
            let mut left = step.saturating_mul(200);
            for (octets, _) in &mut self.scripts[way].writes {
                *octets = left.min(*octets);
                left -= *octets;
            }
        }
    }

    /// Octets that a host's program would like to write.
    pub(crate) fn octets(&self, host: usize) -> u64 {
        self.scripts[host].writes.iter().map(|(octets, _)| u64::from(*octets)).sum()
    }

    /// Nobody leaves a script early.
    pub(crate) fn is_orderly(&self) -> bool {
        self.scripts.iter().all(|s| s.cut.is_none())
    }
}

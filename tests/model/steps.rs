//! What a walk is made of.

use proptest::prelude::*;
use proptest::sample::select;
use tunstack::core::tcp::state::State;

use crate::forge::{ACK, FIN, RST, SYN};

/// A place for SEG.SEQ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Next,
    Edge,
    /// The text ends at RCV.NXT.
    Ends,
    Any(u32),
}

/// A place for SEG.ACK.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AckAt {
    Next,
    Una,
    /// SND.UNA - MAX.SND.WND.
    Oldest,
    Any(u32),
}

/// A segment relative to where the connection will be by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thrown {
    pub(crate) seq: At,
    pub(crate) seq_off: i32,
    pub(crate) ack: AckAt,
    pub(crate) ack_off: i32,
    pub(crate) bits: u16,
    pub(crate) window: u16,
    pub(crate) text: u16,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Arrives(Thrown),
    /// Milliseconds.
    Wait(u32),
    Connect,
    Listen,
    Unlisten,
    Write(u16),
    Read(u16),
    Shutdown,
    Close,
    Abort,
}

fn thrown() -> impl Strategy<Value = Step> {
    let seq = prop_oneof![12 => Just(At::Next), 3 => Just(At::Edge), 2 => Just(At::Ends), 1 => any::<u32>().prop_map(At::Any)];
    let seq_off = prop_oneof![
        12 => Just(0), 3 => -1..2i32, 2 => -1_500..1_500i32, 1 => select(vec![1 << 30, -(1 << 30), -65_536, 65_536]),
    ];
    let ack = prop_oneof![
        12 => Just(AckAt::Next), 4 => Just(AckAt::Una), 1 => Just(AckAt::Oldest), 1 => any::<u32>().prop_map(AckAt::Any),
    ];
    let ack_off = prop_oneof![
        12 => Just(0), 3 => -1..2i32, 2 => -1_500..1_500i32, 1 => select(vec![1 << 30, -(1 << 30)]),
    ];
    let bits = prop_oneof![
        10 => Just(ACK),
        2 => Just(ACK | FIN),
        3 => select(vec![SYN, SYN | ACK, RST, RST | ACK, FIN, 0, SYN | FIN]),
        1 => (0u16..32).prop_map(|b| b & (ACK | FIN | RST | SYN)),
    ];
    let window = prop_oneof![
        3 => Just(60_000u16), 1 => select(vec![0u16, 1, 500, 3_000]), 1 => any::<u16>(),
    ];
    let text = prop_oneof![3 => Just(0u16), 1 => 1..20u16, 2 => Just(1_000u16), 1 => 1..1_400u16];
    (seq, seq_off, ack, ack_off, bits, window, text).prop_map(
        |(seq, seq_off, ack, ack_off, bits, window, text)| {
            Step::Arrives(Thrown { seq, seq_off, ack, ack_off, bits, window, text })
        },
    )
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![6 => 1..600u32, 3 => 600..5_000u32, 2 => 55_000..65_000u32, 1 => Just(400_000u32)];
    prop_oneof![
        24 => thrown(),
        4 => wait.prop_map(Step::Wait),
        4 => (1..5_000u16).prop_map(Step::Write),
        4 => (1..5_000u16).prop_map(Step::Read),
        2 => select(vec![Step::Connect, Step::Listen]),
        2 => Just(Step::Shutdown),
        1 => select(vec![Step::Close, Step::Close, Step::Abort, Step::Unlisten]),
    ]
}

/// What an honest peer sends.
fn honest(bits: u16, ack: AckAt) -> Step {
    Step::Arrives(Thrown { seq: At::Next, seq_off: 0, ack, ack_off: 0, bits, window: 60_000, text: 0 })
}

/// Where walks begin: the state, and whether it was reached by an active OPEN.
pub(crate) const STARTS: [(State, bool); 20] = [
    (State::Closed, false),
    (State::Listen, false),
    (State::SynSent, true),
    (State::SynReceived, false),
    (State::SynReceived, true),
    (State::Established, false),
    (State::Established, true),
    (State::FinWait1, false),
    (State::FinWait1, true),
    (State::FinWait2, false),
    (State::FinWait2, true),
    (State::CloseWait, false),
    (State::CloseWait, true),
    (State::Closing, false),
    (State::Closing, true),
    (State::LastAck, false),
    (State::LastAck, true),
    (State::TimeWait, false),
    (State::TimeWait, true),
    (State::Established, false),
];

/// The way there, by the book.
pub(crate) fn way((state, active): (State, bool)) -> Vec<Step> {
    let mut steps = match (state, active) {
        (State::Closed, _) => return Vec::new(),
        (State::Listen, _) => return vec![Step::Listen],
        (State::SynSent, _) => return vec![Step::Connect],
        (State::SynReceived, true) => return vec![Step::Connect, honest(SYN, AckAt::Next)],
        (State::SynReceived, false) => return vec![Step::Listen, honest(SYN, AckAt::Next)],
        (_, true) => vec![Step::Connect, honest(SYN | ACK, AckAt::Next)],
        (_, false) => vec![Step::Listen, honest(SYN, AckAt::Next), honest(ACK, AckAt::Next)],
    };
    steps.extend(match state {
        State::FinWait1 => vec![Step::Shutdown],
        State::FinWait2 => vec![Step::Shutdown, honest(ACK, AckAt::Next)],
        State::CloseWait => vec![honest(ACK | FIN, AckAt::Next)],
        State::Closing => vec![Step::Shutdown, honest(ACK | FIN, AckAt::Una)],
        State::LastAck => vec![honest(ACK | FIN, AckAt::Next), Step::Shutdown],
        State::TimeWait => vec![Step::Shutdown, honest(ACK | FIN, AckAt::Next)],
        _ => Vec::new(),
    });
    steps
}

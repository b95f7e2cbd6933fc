//! Any segment in any state: random ones, their checksums right, thrown at a connection.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tunstack::core::addr::{Endpoint, Prefix};
use tunstack::core::config::Config;
use tunstack::core::error::Error;
use tunstack::core::sockopt::Shutdown;
use tunstack::core::stack::{Inbound, SocketId, Stack, drive};
use tunstack::core::tcp::state::State;
use tunstack::core::time::{Duration, Instant};

use crate::forge::{ACK, FIN, Forged, RST, SYN, Seen, see};
use crate::pair::config;

const STATES: [State; 11] = [
    State::Closed,
    State::Listen,
    State::SynSent,
    State::SynReceived,
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];

/// The peer's initial sequence number: its window wraps.
const PEER_ISS: u32 = 0xffff_fff0;

/// Our stack, and what the test, playing the peer, knows.
struct Bench {
    stack: Stack,
    now: Instant,
    socket: Option<SocketId>,
    listener: Option<SocketId>,
    us: Endpoint,
    them: Endpoint,
    /// What the peer sends next, and what it would acknowledge: all it has seen.
    next: u32,
    seen: u32,
}

impl Bench {
    fn new(sack: bool, timestamps: bool) -> Self {
        let [us, them] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse::<std::net::IpAddr>().expect("an address"));
        let mut settings = Config { addresses: vec![Prefix::new(us.into(), 24)], ..Config::default() };
        settings.tcp.sack = sack;
        settings.tcp.timestamps = timestamps;
        Self {
            stack: Stack::new(settings, [7; 32]),
            now: Instant::from_secs(1),
            socket: None,
            listener: None,
            us: Endpoint::new(us.into(), 80),
            them: Endpoint::new(them.into(), 5_000),
            next: PEER_ISS,
            seen: 0,
        }
    }

    /// Lets the stack send what it wants to.
    fn sent(&mut self) -> Vec<Seen> {
        let mut sent = Vec::new();
        drive(
            &mut self.stack,
            self.now,
            |datagram| {
                let mut packet = vec![0; datagram.len()];
                datagram.copy_to(&mut packet).expect("room for it");
                sent.push(see(&packet).expect("a TCP segment"));
                assert!(sent.len() < 1_000, "the stack sends for ever");
            },
            |_| {},
        );
        for one in &sent {
            let control = u32::from(one.bits & SYN != 0) + u32::from(one.bits & FIN != 0);
            let end = one.seq.wrapping_add(one.len + control);
            if one.bits & RST == 0 && (self.seen == 0 || end.wrapping_sub(self.seen) < 1 << 31) {
                self.seen = end;
            }
        }
        sent
    }

    fn throw(&mut self, segment: &Forged) -> Vec<Seen> {
        let packet = segment.packet(self.them, self.us);
        self.stack.receive(self.now, Inbound::plain(&packet));
        self.sent()
    }

    /// A segment in order, as an honest peer sends it.
    fn peer(&mut self, bits: u16) {
        let honest = Forged { seq: self.next, ack: self.seen, bits, window: 8_000, ..Forged::default() };
        let mut options = Vec::new();
        if bits & SYN != 0 {
            // MSS 1460, SACK permitted, timestamps, scale 7.
            options = vec![2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0, 1, 3, 3, 7];
        } else if self.stack.config().tcp.timestamps {
            options = vec![1, 1, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0];
        }
        self.throw(&Forged { options, ..honest });
        self.next = self.next.wrapping_add(u32::from(bits & SYN != 0) + u32::from(bits & FIN != 0));
    }

    fn listen(&mut self) {
        let id = self.stack.tcp_socket(self.us.address.family());
        self.stack.bind(id, self.us).expect("a free port");
        self.stack.listen(id, 4).expect("a free port");
        self.listener = Some(id);
    }

    fn connect(&mut self) {
        let id = self.stack.tcp_socket(self.us.address.family());
        self.stack.bind(id, self.us).expect("a free port");
        assert_eq!(self.stack.connect(id, self.them, self.now), Err(Error::InProgress));
        self.socket = Some(id);
        self.sent();
    }

    fn shut(&mut self) {
        let id = self.socket.expect("a connection");
        self.stack.shutdown(id, Shutdown::Write, self.now).expect("a connection");
        self.sent();
    }

    /// Brings a connection to a state, by the book.
    fn reach(&mut self, state: State) {
        match state {
            State::Closed => return,
            State::Listen => return self.listen(),
            State::SynSent => return self.connect(),
            State::SynReceived => {
                self.listen();
                return self.peer(SYN);
            }
            _ => {}
        }
        self.listen();
        self.peer(SYN);
        self.peer(ACK);
        let listener = self.listener.expect("just made");
        self.socket = Some(self.stack.try_accept(listener).expect("the handshake is done"));
        if matches!(state, State::CloseWait | State::LastAck) {
            self.peer(ACK | FIN);
        }
        if matches!(
            state,
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait
        ) {
            let unseen = self.seen;
            self.shut();
            match state {
                State::FinWait2 => self.peer(ACK),
                State::TimeWait => self.peer(ACK | FIN),
                State::Closing => {
                    // It has not seen our FIN yet.
                    self.seen = unseen;
                    self.peer(ACK | FIN);
                }
                _ => {}
            }
        } else if matches!(state, State::Established | State::CloseWait) {
            let id = self.socket.expect("a connection");
            self.stack.try_write(id, &[42; 20_000], self.now).expect("room");
            self.sent();
        }
        assert_eq!(self.socket.and_then(|id| self.stack.state(id)), Some(state));
    }

    /// What a segment may set free: acknowledged, or allowed by the peer's window.
    fn freedom(&self) -> Option<(u32, u32)> {
        let v = self.socket.and_then(|id| self.stack.tcp_info(id))?.variables;
        Some((v.una.get(), v.snd_wnd))
    }
}

/// A segment, placed relative to what the peer should send.
#[derive(Clone, Debug)]
struct Thrown {
    seq: i64,
    ack: i64,
    bits: u16,
    window: u16,
    urgent: u16,
    options: Vec<u8>,
    text: usize,
    wait_ms: u16,
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => Just(0i64),
        3 => -3i64..4,
        2 => -20_000i64..20_000,
        1 => select(vec![65_535i64, 65_536, 1 << 20, (1 << 20) + 1, 1 << 31, (1 << 31) - 1, -(1 << 20)]),
        1 => any::<u32>().prop_map(i64::from),
    ]
}

fn options() -> impl Strategy<Value = Vec<u8>> {
    let timestamps = (-3i32..100, any::<u32>()).prop_map(|(value, echo)| {
        let mut option = vec![1, 1, 8, 10];
        option.extend_from_slice(&(100 + value).to_be_bytes());
        option.extend_from_slice(&echo.to_be_bytes());
        option
    });
    prop_oneof![
        4 => timestamps,
        1 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 16..=16).prop_map(|edges| [&[1u8, 1, 5, 18][..], &edges].concat()),
    ]
}

fn thrown() -> impl Strategy<Value = Thrown> {
    let bits = prop_oneof![
        4 => Just(ACK),
        2 => select(vec![ACK | FIN, SYN, SYN | ACK, RST, RST | ACK, FIN, 0, ACK | 8, ACK | 32]),
        2 => 0u16..512,
    ];
    let window = prop_oneof![Just(0u16), Just(1u16), any::<u16>()];
    let text = prop_oneof![3 => Just(0usize), 2 => 1usize..1_400];
    let wait = prop_oneof![3 => Just(0u16), 1 => 0u16..3_000];
    (offset(), offset(), bits, window, any::<u16>(), options(), text, wait).prop_map(
        |(seq, ack, bits, window, urgent, options, text, wait_ms)| Thrown {
            seq,
            ack,
            bits,
            window,
            urgent,
            options,
            text,
            wait_ms,
        },
    )
}

fn judge(state: State, sack: bool, timestamps: bool, storm: &[Thrown]) {
    let mut bench = Bench::new(sack, timestamps);
    bench.reach(state);
    for one in storm {
        bench.now += Duration::from_millis(one.wait_ms.into());
        bench.sent();
        let before = bench.freedom();
        let answers = bench.throw(&Forged {
            seq: bench.next.wrapping_add(one.seq as u32),
            ack: bench.seen.wrapping_add(one.ack as u32),
            bits: one.bits,
            window: one.window,
            urgent: one.urgent,
            options: one.options.clone(),
            text: vec![9; one.text],
        });
        // A window of data where it freed some; else an ACK or a reset, and what a duplicate ACK is worth.
        let limit = if bench.freedom() == before { 2 } else { 24 };
        assert!(answers.len() <= limit, "{} answers to {one:?}: {answers:?}", answers.len());
        if one.bits & RST != 0 {
            assert!(answers.iter().all(|a| a.bits & RST == 0), "a reset answered by a reset");
        }
    }
    // The peer is gone. What we still send ends with R2 at the latest, and then all is quiet.
    if let Some(id) = bench.listener {
        bench.stack.close(id, bench.now).expect("the handle is ours");
    }
    if let Some(id) = bench.socket {
        bench.stack.close(id, bench.now).expect("the handle is ours");
    }
    let mut packets = bench.sent().len();
    let limit = bench.now + Duration::from_secs(3 * 3_600);
    while let Some(next) = bench.stack.poll_timeout() {
        assert!(next < limit, "no rest");
        bench.now = bench.now.max(next);
        packets += bench.sent().len();
        assert!(packets < 500, "too much said to nobody");
    }
    assert_eq!(bench.stack.slots(), 0);
}

#[test]
fn every_state_is_reached() {
    for state in STATES {
        Bench::new(true, true).reach(state);
    }
}

/// An honest segment of text that ends `before` the next octet.
fn text(bench: &Bench, len: u32, before: u32) -> Forged {
    Forged {
        seq: bench.next.wrapping_sub(before + len),
        ack: bench.seen,
        bits: ACK,
        window: 8_000,
        urgent: 0,
        options: vec![1, 1, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0],
        text: vec![9; len as usize],
    }
}

/// Text before the FIN, sent again, says as much as the FIN itself: our ACK was lost, and the peer goes on.
#[test]
fn text_sent_again_restarts_time_wait() {
    let mut bench = Bench::new(true, true);
    bench.reach(State::TimeWait);
    let listener = bench.listener.expect("it listens");
    let socket = bench.socket.expect("a connection");
    bench.stack.close(listener, bench.now).expect("the handle is ours");
    bench.stack.close(socket, bench.now).expect("the handle is ours");
    bench.now += Duration::from_secs(50);
    let again = text(&bench, 10, 1);
    assert_eq!(bench.throw(&again).len(), 1);
    for (after, slots) in [(59, 1), (2, 0)] {
        bench.now += Duration::from_secs(after);
        bench.sent();
        assert_eq!(bench.stack.slots(), slots);
    }
}

proptest! {
    #![proptest_config(config(6_000, "tests/properties/segments.regressions"))]

    #[test]
    fn no_segment_harms_or_is_answered_by_a_flood(
        state in select(STATES.to_vec()),
        (sack, timestamps) in any::<(bool, bool)>(),
        storm in vec(thrown(), 1..40),
    ) {
        judge(state, sack, timestamps, &storm);
    }
}

//! Buffers that grow: the receive buffer with what is read, what is offered of it with what arrives, and the send buffer
//! with the congestion window.

use super::raw::{Raw, Sent};
use super::*;
use crate::config::TcpConfig;
use crate::seq::Seq;
use crate::sockopt::{BufferLock, SocketOptions};
use crate::tcp::info::TcpInfo;
use crate::wire::options::{Options, Timestamps};

const ROUND_TRIP: Duration = Duration::from_millis(100);

/// 64 KiB that may become 1 MiB.
fn small() -> TcpConfig {
    TcpConfig { receive_buffer: 64 << 10, receive_buffer_max: 1 << 20, ..TcpConfig::default() }
}

/// A peer that sends all that the window lets it, once a round trip.
struct Filler {
    r: Raw,
    id: SocketId,
    edge: Seq,
    /// The latest timestamp of ours, and that which its segments echo.
    heard: u32,
    echo: u32,
}

impl Filler {
    fn new(tcp: TcpConfig) -> Self {
        Self::with(tcp, None, |_| {})
    }

    fn with(tcp: TcpConfig, clock: Option<u32>, listens: impl FnOnce(&mut SocketOptions)) -> Self {
        let mut r = Raw::new(Config { tcp, ..Config::default() });
        r.clock = clock;
        r.syn = Options { mss: Some(1000), window_scale: Some(7), ..Options::default() };
        let listener = r.listen(8);
        let mut options = r.host.options(listener).unwrap();
        listens(&mut options);
        let now = r.now;
        r.host.set_options(listener, options, now).unwrap();
        r.handshake();
        let id = r.host.try_accept(listener).unwrap();
        let tcb = r.tcb(id);
        let edge = tcb.rcv.edge();
        Self { r, id, edge, heard: 0, echo: 0 }
    }

    /// The right edge goes on and not back, but for what a scaled field cannot tell.
    fn hear(&mut self, out: &[Sent]) {
        for s in out {
            let scale = self.r.tcb(self.id).rcv.scale;
            let edge = s.header.ack.add(scale.octets(s.header.window));
            assert!(edge.add(scale.octets(1)).after(self.edge), "{edge} after {}", self.edge);
            self.edge = self.edge.max(edge);
            self.heard = s.options.timestamps.map_or(0, |ts| ts.value);
        }
    }

    fn send(&mut self, text: &[u8]) {
        let timestamps = self.r.clock.map(|value| Timestamps { value, echo: self.echo });
        let (seq, ack) = (self.r.seq, self.r.ack);
        self.r.inject(seq, ack, Flags::ACK, text, &Options { timestamps, ..Options::default() });
        self.r.seq = seq.wrapping_add(text.len() as u32);
        let out = self.r.sent();
        self.hear(&out);
    }

    fn read(&mut self) -> usize {
        let mut buf = vec![0; 1 << 21];
        let n = self.r.host.try_read(self.id, &mut buf).unwrap_or(0);
        let out = self.r.sent();
        self.hear(&out);
        n
    }

    /// Segments of `text` octets up to the edge; `reads` says whether the program takes them. Gives what was sent.
    fn round(&mut self, text: usize, reads: bool) -> u32 {
        let (began, until) = (Seq::new(self.r.seq), self.edge);
        let text = vec![0; text];
        while Seq::new(self.r.seq).add(text.len() as u32).at_or_before(until) {
            self.send(&text);
            if reads {
                self.read();
            }
        }
        let sent = Seq::new(self.r.seq).since(began);
        self.echo = self.heard;
        let out = self.r.wait(ROUND_TRIP);
        self.hear(&out);
        sent
    }

    fn rounds(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.round(1000, true)).collect()
    }

    fn info(&self) -> TcpInfo {
        self.r.host.tcp_info(self.id).unwrap()
    }

    fn size(&self) -> u32 {
        self.r.host.options(self.id).unwrap().receive_buffer
    }
}

#[test]
fn a_buffer_grows_with_what_is_read_up_to_the_limit() {
    let mut f = Filler::new(small());
    assert_eq!((f.size(), f.info().receive_space, f.info().receive_rtt), (64 << 10, 0, None));
    let sent = f.rounds(20);
    assert!(sent[0] <= 64 << 10, "{sent:?}");
    assert!(sent.is_sorted_by(|a, b| a <= b), "{sent:?}");
    // Twice as much in each round trip or two, and then no more.
    assert!(sent[10] > 1_000_000, "{sent:?}");
    assert_eq!(f.size(), 1 << 20);
    assert!(sent[19] <= 1 << 20);
    // A segment was unread when it grew.
    assert_eq!(f.info().receive_threshold, (1 << 20) - 1000);
    assert!(f.info().receive_space > 1_000_000);
}

#[test]
fn a_buffer_does_not_grow_where_it_is_not_to() {
    let locked = |o: &mut SocketOptions| o.buffer_lock |= BufferLock::RECEIVE;
    let sized = |o: &mut SocketOptions| o.receive_buffer = 100_000;
    for (mut f, size) in [
        (Filler::new(TcpConfig { moderate_receive_buffer: false, ..small() }), 64 << 10),
        (Filler::new(TcpConfig { receive_buffer_max: 0, ..small() }), 64 << 10),
        (Filler::with(small(), None, locked), 64 << 10),
        (Filler::with(small(), None, sized), 100_000),
    ] {
        let sent = f.rounds(12);
        assert_eq!(f.size(), size);
        assert!(sent.iter().all(|n| *n <= size), "{sent:?}");
        assert!(f.info().receive_space > 50_000, "it is measured all the same");
    }
}

/// Set when it has grown, it is what it is set to, and the edge stays.
#[test]
fn a_buffer_that_has_grown_may_be_set() {
    let mut f = Filler::new(small());
    f.rounds(12);
    let now = f.r.now;
    let options = SocketOptions { receive_buffer: 50_000, ..f.r.host.options(f.id).unwrap() };
    f.r.host.set_options(f.id, options, now).unwrap();
    let last = f.rounds(4);
    assert!(last[3] <= 50_000, "{last:?}");
    assert_eq!(f.size(), 50_000);
    assert_eq!(f.r.host.options(f.id).unwrap().buffer_lock, BufferLock::RECEIVE);
    let options = SocketOptions { buffer_lock: BufferLock::empty(), ..f.r.host.options(f.id).unwrap() };
    f.r.host.set_options(f.id, options, now).unwrap();
    assert_eq!(f.size(), 50_000, "let go it begins where it is");
}

/// Who does not read is not given more: what waits for him is what the buffer had at first.
#[test]
fn a_buffer_that_nobody_reads_stays_small() {
    let mut f = Filler::new(small());
    for _ in 0..20 {
        f.round(1000, false);
    }
    assert_eq!(f.size(), 64 << 10);
    assert!(f.info().receive_queue <= 64 << 10);
    assert!(f.info().memory < 3 * (64 << 10), "{}", f.info().memory);
}

#[test]
fn a_clamp_is_not_passed() {
    let mut f = Filler::with(small(), None, |o| o.window_clamp = 90_000);
    let sent = f.rounds(15);
    assert!(sent.iter().all(|n| *n <= 90_000), "{sent:?}");
    assert!(sent[14] > 80_000);
    assert!(f.info().receive_threshold <= 90_000);
    assert!(f.size() <= 90_000, "more would not be used");
}

/// A field that is not scaled tells 64 KiB: no buffer is made that it cannot tell.
#[test]
fn a_buffer_is_no_larger_than_the_field_tells() {
    let mut f = Filler::new(TcpConfig { receive_buffer: 40_000, window_scaling: false, ..small() });
    f.rounds(12);
    assert_eq!(f.size(), 65_535);
}

/// The first window is that of the SYN, though the buffer is larger, and grows by twice what arrives.
#[test]
fn what_is_offered_grows_with_what_arrives() {
    let mut f = Filler::new(TcpConfig { receive_buffer: 1 << 20, ..small() });
    assert_eq!(f.info().receive_threshold, 65_535);
    f.send(&[0; 1000]);
    assert_eq!(f.info().receive_threshold, 67_535);
    f.send(&[0; 500]);
    assert_eq!(f.info().receive_threshold, 68_535);
    let first = f.round(1000, false);
    let second = f.round(1000, false);
    assert!(first < 70_000 && (180_000..220_000).contains(&second), "{first} {second}");
}

/// What arrives beyond a gap counts too, but where the window has to stay for an ACK to be a duplicate.
#[test]
fn what_arrives_out_of_order_counts_with_sack() {
    for sack in [true, false] {
        let mut f = Filler::new(TcpConfig { receive_buffer: 1 << 20, ..small() });
        f.r.tcb(f.id).is.set(crate::tcp::tcb::Is::SACK, sack);
        f.send(&[0; 1000]);
        f.r.seq += 1000;
        f.send(&[0; 1000]);
        assert_eq!(f.info().receive_threshold, 67_535 + if sack { 2000 } else { 0 });
    }
}

/// A burst of runs that are short is offered its part of the buffer: of 16 octets each a sixteenth.
#[test]
fn short_runs_are_offered_no_more_than_their_part() {
    let mut f = Filler::new(TcpConfig { receive_buffer: 2 << 20, ..small() });
    for _ in 0..40_000 {
        f.send(&[0; 16]);
        f.read();
    }
    assert_eq!(f.info().receive_threshold, 128 << 10);
    f.send(&[0; 300]);
    assert_eq!(f.info().receive_threshold, (128 << 10) + 600);
}

/// The round trip: of what is echoed with timestamps, without them of a window.
#[test]
fn the_receiver_sees_the_round_trip() {
    for clock in [None, Some(5)] {
        let mut f = Filler::with(small(), clock, |_| {});
        f.rounds(6);
        let rtt = f.info().receive_rtt.unwrap();
        assert!((ROUND_TRIP..ROUND_TRIP * 21 / 20).contains(&rtt), "{clock:?} {rtt:?}");
    }
}

/// A segment that is not full may have been written long after what it echoes.
#[test]
fn an_echo_of_a_short_segment_is_no_round_trip() {
    let mut f = Filler::with(small(), Some(5), |_| {});
    f.send(&[0; 1000]);
    let rtt = f.info().receive_rtt;
    for _ in 0..20 {
        let out = f.r.wait(Duration::from_secs(5));
        f.hear(&out);
        f.echo = f.heard;
        f.send(b"type");
    }
    assert_eq!(f.info().receive_rtt, rtt);
}

/// A peer that acknowledges all once a round trip, and a program that always has more.
struct Writer {
    r: Raw,
    id: SocketId,
}

impl Writer {
    fn new(tcp: TcpConfig, lock: BufferLock) -> Self {
        let mut r = Raw::new(Config { tcp, ..Config::default() });
        r.syn = Options { mss: Some(1000), window_scale: Some(7), ..Options::default() };
        r.window = 65_535;
        let listener = r.listen(8);
        let (now, options) = (r.now, r.host.options(listener).unwrap());
        let options = SocketOptions { buffer_lock: lock, ..options };
        r.host.set_options(listener, options, now).unwrap();
        r.handshake();
        let id = r.host.try_accept(listener).unwrap();
        Self { r, id }
    }

    /// Writes what fits, and lets all that leaves be acknowledged a round trip later. Gives how much that was.
    fn round(&mut self) -> usize {
        let now = self.r.now;
        while self.r.host.try_write(self.id, &[0; 1 << 16], now).is_ok() {}
        let mut out = self.r.sent();
        out.extend(self.r.wait(ROUND_TRIP));
        self.r.acknowledge(&out);
        out.iter().map(|s| s.text.len()).sum()
    }

    fn size(&self) -> u32 {
        self.r.host.options(self.id).unwrap().send_buffer
    }
}

fn short_sends() -> TcpConfig {
    TcpConfig { send_buffer: 16 << 10, send_buffer_max: 2 << 20, ..TcpConfig::default() }
}

/// Twice the congestion window, each segment as large as Linux counts it: 2304 octets for 1000.
#[test]
fn a_send_buffer_grows_with_the_congestion_window() {
    let mut w = Writer::new(short_sends(), BufferLock::empty());
    assert_eq!(w.size(), 2 * 10 * 2304);
    let sent: Vec<usize> = (0..12).map(|_| w.round()).collect();
    assert!(sent[11] > 600_000, "{sent:?}");
    assert!(w.size() > 1_000_000 && w.size() <= 2 << 20, "{}", w.size());

    let mut w = Writer::new(short_sends(), BufferLock::SEND);
    let sent: Vec<usize> = (0..12).map(|_| w.round()).collect();
    assert_eq!(w.size(), 16 << 10);
    assert!(sent.iter().all(|n| *n <= (16 + 64) << 10), "no more than a run beside: {sent:?}");

    let mut w = Writer::new(TcpConfig { send_buffer_max: 100_000, ..short_sends() }, BufferLock::empty());
    for _ in 0..12 {
        w.round();
    }
    assert_eq!(w.size(), 100_000);
}

/// One that the program does not fill is large enough.
#[test]
fn a_send_buffer_that_is_not_filled_does_not_grow() {
    let mut w = Writer::new(short_sends(), BufferLock::empty());
    let before = w.size();
    for _ in 0..12 {
        w.r.write(w.id, &[0; 9000]);
        let mut out = w.r.sent();
        out.extend(w.r.wait(ROUND_TRIP));
        w.r.acknowledge(&out);
    }
    assert_eq!(w.size(), before);
}

/// Who waits to write is told when the buffer has grown, though what he wrote is not acknowledged by a third.
#[test]
fn a_buffer_that_grows_wakes_who_writes() {
    let mut w = Writer::new(short_sends(), BufferLock::empty());
    let now = w.r.now;
    while w.r.host.try_write(w.id, &[0; 1 << 16], now).is_ok() {}
    let out = w.r.sent();
    assert!(!w.r.host.readiness(w.id).contains(Readiness::WRITABLE));
    // The congestion window is large, as if it had grown before the program had so much.
    w.r.tcb(w.id).congestion = crate::tcp::congestion::Congestion::new(
        crate::tcp::congestion::Algorithm::Reno,
        1000,
        200,
        &TcpConfig::default(),
    );
    while w.r.host.poll_event().is_some() {}
    w.r.acknowledge(&out[..1]);
    let segments = w.r.tcb(w.id).cwnd() / 1000;
    assert!(segments >= 200);
    assert_eq!(w.size(), 2 * segments * 2304);
    assert!(w.r.host.readiness(w.id).contains(Readiness::WRITABLE));
    assert!(core::iter::from_fn(|| w.r.host.poll_event()).any(|event| event.id == w.id));
}

/// Every second segment is lost, all over the window of a large buffer: what comes between is kept, piece by piece.
#[test]
fn as_many_pieces_are_kept_as_the_buffer_has_pairs_of_segments() {
    let tcp = TcpConfig { receive_buffer: 4 << 20, receive_buffer_max: 4 << 20, ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    r.syn = Options { mss: Some(1000), window_scale: Some(7), sack_permitted: true, ..Options::default() };
    let id = r.accepted();
    let tcb = r.tcb(id);
    tcb.rcv.wnd = 4 << 20;
    let pieces = (4 << 20) / (2 * 536);
    for n in 0..pieces {
        r.seq = 1001 + (2 * n + 1) * 536;
        r.send(Flags::ACK, &[7; 536]);
        r.sent();
    }
    assert_eq!(r.host.counters().tcp_ofo_drop, 0);
    assert_eq!(r.tcb(id).reassembly.blocks().count(), pieces as usize);
    // And no more, however small: what a peer makes us look through is bounded.
    r.seq = 1001 + 10;
    r.send(Flags::ACK, b"x");
    assert_eq!(r.host.counters().tcp_ofo_drop, 1);
}

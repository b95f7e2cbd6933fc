//! How much a program may write, whatever it has written, what has left and what was acknowledged.

use proptest::prelude::*;

use super::raw::Raw;
use super::*;
use crate::config::TcpConfig;

/// What happens to a connection with segments of 1000 octets.
#[derive(Clone, Debug)]
enum Step {
    /// The program writes so much, or as much of it as is taken.
    Write(usize),
    /// What may leave does.
    Leave,
    /// The peer has so many parts in eight of what is outstanding, and offers this window.
    Acknowledge(u32, u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop_oneof![1..10usize, 1..5000usize, Just(1 << 20)].prop_map(Step::Write),
        2 => Just(Step::Leave),
        2 => (0..9u32, prop_oneof![Just(0), any::<u16>()]).prop_map(|(n, window)| Step::Acknowledge(n, window)),
    ];
    proptest::collection::vec(step, 1..40)
}

fn sizes() -> impl Strategy<Value = u32> {
    prop_oneof![1..5000u32, 1..100_000u32, Just(1 << 20)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_buffer_has_at_most_a_run_more_than_its_size_and_takes_something_where_it_says_so(
        size in sizes(),
        low_water in prop_oneof![Just(0), Just(u32::MAX), sizes()],
        window: u16,
        steps in steps(),
    ) {
        let tcp = TcpConfig { send_buffer: size, send_buffer_max: 0, ..TcpConfig::default() };
        let mut r = Raw::new(Config { tcp, ..Config::default() });
        r.window = window;
        let id = r.accepted();
        Arc::make_mut(&mut r.tcb(id).options).unsent_low_water = low_water;
        for step in steps {
            let now = r.now;
            match step {
                Step::Write(len) => {
                    let room = r.tcb(id).send_room();
                    let before = r.tcb(id).send_buffer.len();
                    let taken = r.host.try_write(id, &vec![0; len], now);
                    let expected = if room == 0 { Err(Error::WouldBlock) } else { Ok(room.min(len)) };
                    prop_assert_eq!(taken, expected);
                    let queued = r.tcb(id).send_buffer.len();
                    prop_assert_eq!(queued, before + taken.unwrap_or(0));
                    // Half of the largest window, in whole segments.
                    let run = (r.tcb(id).snd.max_wnd as usize / 2).max(1000);
                    prop_assert!(queued <= size as usize + run, "{} in {}", queued, size);
                }
                Step::Leave => {
                    r.sent();
                }
                Step::Acknowledge(parts, window) => {
                    r.sent();
                    let outstanding = r.tcb(id).snd.outstanding();
                    r.window = window;
                    r.ack = r.ack.wrapping_add(outstanding * parts.min(8) / 8);
                    r.send(Flags::ACK, b"");
                }
            }
            let tcb = r.tcb(id);
            prop_assert!(!tcb.has_space() || tcb.send_room() > 0, "who is told to write is refused: {:?}", tcb.snd);
            prop_assert!(!tcb.send_buffer.is_empty() || (tcb.has_space() && tcb.send_room() > 0), "an empty buffer is full");
        }
    }
}

/// An empty buffer takes a segment where its size is one octet; of more so much as where it is asked for no more than that.
#[test]
fn an_empty_buffer_takes_a_segment() {
    // A window of less than two segments makes a run one.
    for (window, room) in [(60_000, 30_001), (1999, 1000)] {
        let tcp = TcpConfig { send_buffer: 1, send_buffer_max: 0, ..TcpConfig::default() };
        let mut r = Raw::new(Config { tcp, ..Config::default() });
        r.window = window;
        let id = r.accepted();
        let tcb = r.tcb(id);
        assert_eq!((tcb.smss(), tcb.send_room()), (1000, room));
        assert_eq!([999, 1000, 1001].map(|n| tcb.room_for(n)), [999, 1000, room]);
    }
}

/// Text of a server that answers the text of a SYN takes no more of the buffer than other text, though its SYN,ACK, which has
/// not left yet, lies before it in the sequence space: here the peer has never offered a window that a segment fits in.
#[test]
fn text_before_the_syn_ack_finds_the_room_that_there_is() {
    use crate::fast_open::Modes;
    let fast_open = Modes::SERVER | Modes::SERVER_NO_COOKIE | Modes::ALL_LISTENERS;
    let tcp = TcpConfig { fast_open, send_buffer: 4608, send_buffer_max: 0, ..TcpConfig::default() };
    let mut r = Raw::new(Config { mtu: 9000, tcp, ..Config::default() });
    r.syn.mss = Some(8960);
    r.window = 8192;
    let listener = r.listen(8);
    r.send(Flags::SYN, b"request");
    let id = r.host.try_accept(listener).unwrap();
    let tcb = r.tcb(id);
    assert_eq!((tcb.smss(), tcb.snd.nxt), (8960, tcb.snd.iss));
    let room = tcb.send_room();
    let now = r.now;
    assert_eq!(r.host.try_write(id, &[7; 8960], now), Ok(room));
    assert!(r.sent()[0].is(Flags::SYN | Flags::ACK));
}

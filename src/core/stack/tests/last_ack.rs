//! LAST-ACK without an owner: what ends the record, and by which way.

use super::raw::Raw;
use super::*;
use crate::counters::Counters;
use crate::tcp::short_cuts;
use crate::wire::options::{Options, Timestamps};

/// The peer's TSval when it ended.
const CLOCK: u32 = 1000;

/// The last segment: its SEQ from RCV.NXT on, its ACK from SND.NXT on, its TSval, its text.
struct Last {
    seq: i32,
    ack: i32,
    value: Option<u32>,
    text: &'static [u8],
    /// Our FIN was sent again before.
    again: bool,
}

const RIGHT: Last = Last { seq: 0, ack: 0, value: Some(CLOCK), text: b"", again: false };

/// What a segment comes to: how many records there are, in which state, what was counted and sent, and the short cuts.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    state: Option<State>,
    orphans: u32,
    counters: Counters,
    sent: usize,
}

fn arrives(last: &Last, whole: bool) -> (Seen, usize) {
    let mut r = Raw::new(Config::default());
    r.clock = Some(CLOCK);
    r.syn.sack_permitted = true;
    let id = r.accepted();
    r.send(Flags::ACK | Flags::FIN, b"");
    let now = r.now;
    r.write(id, b"bye");
    r.host.close(id, now).unwrap();
    let out = r.sent();
    assert!(out.last().unwrap().is(Flags::FIN));
    let ours = r.ack.wrapping_add(4);
    if last.again {
        assert!(r.wait(Duration::from_secs(2)).iter().any(|s| s.is(Flags::FIN)));
    }
    let timestamps =
        last.value.map(|value| Timestamps { value, echo: out[0].options.timestamps.unwrap().value });
    let options = Options { timestamps, ..Options::default() };
    let (seq, ack) = (r.seq.wrapping_add_signed(last.seq), ours.wrapping_add_signed(last.ack));
    let before = short_cuts::count();
    short_cuts::close(whole);
    r.inject(seq, ack, Flags::ACK, last.text, &options);
    short_cuts::close(false);
    let taken = short_cuts::count() - before;
    let sent = r.sent().len();
    let state = r.host.slab.iter().find_map(|(_, socket)| match &socket.kind {
        Kind::Connection(tcb) => Some(tcb.state()),
        _ => None,
    });
    (Seen { state, orphans: r.host.orphans(), counters: r.host.counters().clone(), sent }, taken)
}

/// RFC 9293 §3.10.7.4: what is acceptable and acknowledges our FIN, whatever else it is. The one that nearly every one is takes
/// the short way, and no other.
#[test]
fn the_acknowledgment_of_the_fin_ends_the_record() {
    let cases: [(&str, Last, bool, usize); 11] = [
        ("one short of the FIN", Last { ack: -1, ..RIGHT }, false, 0),
        ("of nothing new", Last { ack: -4, ..RIGHT }, false, 0),
        ("of what was never sent", Last { ack: 1, ..RIGHT }, false, 0),
        ("an old TSval", Last { value: Some(CLOCK - 1), ..RIGHT }, false, 0),
        ("no timestamp", Last { value: None, ..RIGHT }, false, 0),
        ("before RCV.NXT", Last { seq: -1, ..RIGHT }, false, 0),
        // In the window, and without text in order.
        ("behind RCV.NXT", Last { seq: 1, ..RIGHT }, true, 0),
        ("with text", Last { text: b"more", ..RIGHT }, true, 0),
        ("with text beyond a gap", Last { seq: 1, text: b"more", ..RIGHT }, true, 0),
        ("after a timeout", Last { again: true, ..RIGHT }, true, 0),
        ("the right one", RIGHT, true, 1),
    ];
    for (name, last, ends, short) in cases {
        let (seen, taken) = arrives(&last, false);
        let (whole, none) = arrives(&last, true);
        assert_eq!((&seen, none), (&whole, 0), "{name}");
        let state = if ends { None } else { Some(State::LastAck) };
        assert_eq!((seen.state, seen.orphans, taken), (state, u32::from(!ends), short), "{name}");
    }
}

/// Where each step is told, the last one tells of the window that it brought.
#[test]
fn the_last_acknowledgment_is_told_as_any_other() {
    let mut r = Raw::new(Config { trace: true, ..Config::default() });
    r.syn.sack_permitted = true;
    let id = r.accepted();
    r.send(Flags::ACK | Flags::FIN, b"");
    let now = r.now;
    r.host.close(id, now).unwrap();
    assert!(r.sent()[0].is(Flags::FIN));
    r.window -= 1;
    let packet = r.packet(r.seq, r.ack.wrapping_add(1), Flags::ACK, b"", &Options::default());
    let before = short_cuts::count();
    let Received::Tcp(Some(event)) = r.host.receive(now, Inbound::plain(&packet)) else { panic!("untold") };
    assert_eq!((event.state, short_cuts::count() - before), (State::Closed, 1));
    let told = event.variables.unwrap();
    assert_eq!((told.snd_wnd, told.una), (u32::from(r.window), told.snd_nxt));
}

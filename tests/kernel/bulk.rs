//! Much data.

use std::net::Shutdown;
use std::thread;
use std::time::Instant;

use crate::ends::{End, Meeting, Pattern};
use crate::host::{LONG, start_plain, tcp_ext};

/// Sends and receives at both ends at once, to the end of the data, and checks every octet.
pub(crate) fn exchange(client: &End, server: &End, octets: usize, piece: usize) {
    let up = Pattern(1);
    let down = Pattern(2);
    thread::scope(|scope| {
        for (end, mine, theirs) in [(client, up, down), (server, down, up)] {
            scope.spawn(move || {
                mine.write(end, 0, octets, piece);
                end.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || theirs.read_to_end(end, 0, octets));
        }
    });
}

pub(crate) fn both_ways_at_once() {
    let engine = start_plain(1500);
    const OCTETS: usize = 48_000_000;
    for meeting in Meeting::all() {
        let (client, server) = meeting.connect(&engine);
        let began = Instant::now();
        exchange(&client, &server, OCTETS, 60_000);
        println!("{} MB/s each way", OCTETS as u128 / began.elapsed().as_micros().max(1));
    }
    let counters = engine.counters();
    println!("{} segments, {} of them again", counters.tcp_out_segs, counters.tcp_retrans_segs);
    // Our segments leave in the order of their timestamps, whichever thread sends them.
    assert_eq!(tcp_ext("PAWSEstab"), 0);
    engine.shutdown(LONG).unwrap();
}

/// Each write is a segment of its own at most, and there are many.
pub(crate) fn small_writes() {
    let engine = start_plain(1500);
    for meeting in Meeting::all() {
        let (client, server) = meeting.connect(&engine);
        client.set_nodelay();
        exchange(&client, &server, 300_000, 7);
    }
    engine.shutdown(LONG).unwrap();
}

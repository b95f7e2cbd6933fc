//! Losses that must not cost a timeout, and losses and timeouts that were none, for each algorithm.

use tunstack::core::packet::Sent;
use tunstack::core::tcp::trace::{Reason, TcpEvent, What};
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::bottleneck::{Bottleneck, RECEIVER, SENDERS};
use tunstack::sim::host::Host;
use tunstack::sim::link::Fault;
use tunstack::sim::record::{Note, Record};

use std::cell::RefCell;
use std::rc::Rc;

use crate::congestion::{flow, known};

/// What the sender sent, with the octets of the packet.
type Events = Rc<RefCell<Vec<(Instant, TcpEvent, usize)>>>;

fn watch(race: &mut tunstack::sim::bottleneck::Race) -> Events {
    let events = Events::default();
    let seen = Rc::clone(&events);
    race.world.observe(move |record: &Record| {
        if let (SENDERS, Note::Sent(Some(Sent::Tcp(event)), _)) = (record.peer, record.note) {
            seen.borrow_mut().push((record.at, event, record.packet.len()));
        }
    });
    events
}

/// Packets that come up to a quarter of a round trip late cost less than 5 % of the goodput.
#[test]
fn reordering_up_to_a_quarter_round_trip_costs_little() {
    for algorithm in known(&["reno", "cubic", "bbr"]) {
        let goodput = |reorder: &str| {
            let link = format!("20mbit,20ms,queue=100000b{reorder}");
            let mut setup = flow(algorithm, &link);
            // The acknowledgments keep their order.
            setup.back = "20mbit,20ms".parse().expect("a link");
            let mut race = setup.build().expect("it is known");
            race.world.run_until(Instant::from_secs(30));
            race.check().expect("all goes well");
            let reordered = race.world.link(SENDERS).stats().reordered;
            (race.received() as f64, reordered)
        };
        let (plain, none) = goodput("");
        assert_eq!(none, 0);
        for late in ["1ms", "5ms", "10ms"] {
            let (received, reordered) = goodput(&format!(",reorder=1%/{late}"));
            assert!(reordered > 100, "{reordered} packets were late");
            let part = received / plain;
            assert!(part > 0.95, "{algorithm}, 1 % of the packets {late} late: {part:.3} of the goodput");
        }
    }
}

/// The end of a flight is lost: a probe leaves within two round trips and 10 ms of the last that the sender sent or heard, and
/// no timer runs out (RFC 8985 §7.2).
///
/// Where a single segment is all that is outstanding, its acknowledgment may be delayed, and the probe waits for that too, but
/// no longer than for the retransmission timer, which is at least 200 ms above the round trip: then, and over less than
/// 190 ms, two round trips are not enough.
#[test]
fn a_tail_loss_is_repaired_by_a_probe() {
    // Segments of the last flight, no more than the restart window holds, and how many of them arrive.
    let flights = [(1u64, 0u64), (2, 0), (3, 0), (10, 0), (10, 8), (10, 2)];
    for algorithm in known(&["reno", "cubic", "bbr"]) {
        for (trip_ms, (sent, arrive)) in [20u64, 100, 300].into_iter().flat_map(|t| flights.map(|f| (t, f))) {
            let told = format!("{algorithm}, {trip_ms} ms, {arrive} of {sent} arrive");
            let link = format!("100mbit,{}ms", trip_ms / 2);
            let setup = Bottleneck { octets: 100 * 1448, trace: true, ..flow(algorithm, &link) };
            let mut race = setup.build().expect("it is known");
            // By then the round trip is known well, and the window is large enough.
            let trip = Duration::from_millis(trip_ms);
            race.world.run_until(Instant::ZERO + trip * 10 + Duration::from_millis(200));
            assert_eq!(race.received(), 100 * 1448, "{told}");
            let already = race.world.link(SENDERS).stats().offered;
            let lost = already + arrive..already + sent;
            race.world
                .scenario(SENDERS, move |passing| lost.contains(&passing.number).then_some(Fault::Drop));
            let events = watch(&mut race);
            race.add(sent * 1448);
            let begun = race.world.now();
            race.world.run_until(begun + trip * 10 + Duration::from_millis(200));
            race.check().expect("all goes well");
            let flows = race.flows();
            assert_eq!(flows[0].received, (100 + sent) * 1448, "{told}");
            assert_eq!(race.counters(0).tcp_timeouts, 0, "{told}: no timeout");
            let events = events.borrow();
            let data: Vec<_> = events.iter().filter(|(_, _, len)| *len > 1000).collect();
            let (last, probe) = (data[sent as usize - 1], data[sent as usize]);
            assert_eq!(probe.1.what, What::Sent(Reason::TailLossProbe), "{told}");
            // What arrives is acknowledged at once, two segments at a time: a round trip later the wait begins anew.
            let heard = if arrive > 0 { trip } else { Duration::ZERO };
            let bound = trip * 2 + Duration::from_millis(10);
            let bound = if sent == 1 { bound.max(trip + Duration::from_millis(210)) } else { bound + heard };
            let after = probe.0.saturating_since(last.0);
            println!("{told}: the probe leaves {after:?} after the last segment");
            assert!(after <= bound, "{told}: the probe leaves {after:?} after the loss");
            // What it brings to light is sent again as its acknowledgments let it.
            assert!(flows[0].last <= probe.0 + trip * 5, "{told}: {:?}", flows[0].last);
        }
    }
}

/// All packets are late for a while, so that the timer runs out in vain: what it took is given back.
#[test]
fn a_spurious_timeout_is_undone() {
    for algorithm in known(&["reno", "cubic", "bbr"]) {
        let setup = Bottleneck { trace: true, ..flow(algorithm, "20mbit,20ms,queue=100000b") };
        let mut race = setup.build().expect("it is known");
        // A while after slow start, in the middle of congestion avoidance.
        let begun = Instant::from_secs(4);
        race.world.run_until(begun);
        let events = watch(&mut race);
        let before = race.flows()[0].info.clone();
        let usual = *race.world.link(SENDERS).config();
        race.world.link_mut(SENDERS).set_config(usual.with_delay(Duration::from_millis(600)));
        race.world.run_until(begun + Duration::from_millis(200));
        race.world.link_mut(SENDERS).set_config(usual);
        // The acknowledgments of what was late have come, and nothing was lost since.
        race.world.run_until(begun + Duration::from_millis(700));
        race.check().expect("all goes well");
        let timeout = |event: &TcpEvent| matches!(event.what, What::Sent(Reason::RetransmissionTimeout));
        let timeouts = events.borrow().iter().filter(|(_, event, _)| timeout(event)).count();
        assert!(timeouts >= 1, "{algorithm}: the delay is long enough for a timeout");
        let after = race.flows()[0].info.clone();
        let (rates, before, after) =
            ([before.pacing_rate, after.pacing_rate], before.variables, after.variables);
        assert!(
            after.ssthresh >= before.ssthresh && after.cwnd >= before.cwnd,
            "{algorithm}: cwnd {} and ssthresh {} before, {} and {} after",
            before.cwnd,
            before.ssthresh,
            after.cwnd,
            after.ssthresh
        );
        if algorithm == "bbr" {
            // Nor has its model of the path lost anything: it goes on as fast.
            let [before, after] = rates.map(|rate| rate.expect("it is paced"));
            assert!(
                after * 100 >= before * 85,
                "{algorithm}: {before} octets a second before, {after} after"
            );
        }
    }
}

/// Slow start over a long path ends with a queue that has doubled the round trip and the loss of a good part of a window. Its
/// repair is no reason for a timeout, whatever the round trips were before (RFC 6675 §6).
#[test]
fn the_end_of_slow_start_is_repaired_without_a_timeout() {
    for (mbits, queue) in [(20, 750_000), (100, 3_750_000)] {
        for algorithm in known(&["reno", "cubic", "bbr"]) {
            let link = format!("{mbits}mbit,150ms,queue={queue}b");
            let mut race = flow(algorithm, &link).build().expect("it is known");
            race.world.run_until(Instant::from_secs(10));
            race.check().expect("all goes well");
            let counters = race.counters(0);
            let (again, timeouts) = (counters.tcp_retrans_segs, counters.tcp_timeouts);
            // The receiver keeps no more pieces apart than its bound, and has dropped what came beyond.
            let receiver = race.world.peer::<Host>(RECEIVER).stack().counters().tcp_ofo_drop;
            let dropped = race.world.link(SENDERS).stats().queue_full + receiver;
            println!("{algorithm} over {link}: {dropped} dropped, {again} sent again, {timeouts} timeouts");
            assert!(dropped > 0, "{algorithm} over {link}: nothing was lost");
            assert_eq!(timeouts, 0, "{algorithm} over {link}");
            assert!(again <= dropped + 2, "{algorithm} over {link}: {again} for {dropped}");
        }
    }
}

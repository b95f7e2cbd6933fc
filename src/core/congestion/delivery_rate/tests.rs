use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const END: AckEnd = AckEnd { in_flight: 0, rtt: None, min_rtt: None, selective: true };

/// Ten segments at once, acknowledged 10 ms apart after a round trip of 100 ms.
#[test]
fn a_flight_is_measured_at_the_rate_of_its_acknowledgments() {
    let mut c = DeliveryRate::new();
    let stamps: [Stamp; 10] = core::array::from_fn(|i| c.stamp(at(0), 1000 * (i as u32 + 1), i == 0));
    for (i, stamp) in stamps.iter().enumerate() {
        let now = at(100 + 10 * i as u64);
        c.delivered(stamp, 1000, now);
        let s = c.on_ack_end(now, END).unwrap();
        assert_eq!(s.interval, ms(100 + 10 * i as u64), "from the first transmission on");
        assert_eq!(s.delivered, 1000 * (i as u32 + 1));
        assert_eq!((s.prior_delivered, s.total_delivered), (0, u64::from(s.delivered)));
        assert_eq!(s.tx_in_flight, 1000 * (i as u32 + 1));
        assert_eq!(s.newly_acked, 1000);
        assert_eq!(s.delivery_rate, u64::from(s.delivered) * 1000 / (100 + 10 * i as u64));
    }
    // What is sent on each acknowledgment measures from that acknowledgment on: 100 000 octets a second.
    let mut c = DeliveryRate::new();
    let mut flight: alloc::collections::VecDeque<Stamp> =
        (0..10).map(|i| c.stamp(at(0), 1000 * (i + 1), i == 0)).collect();
    let mut last = None;
    for i in 0..40 {
        let now = at(100 + 10 * i);
        let stamp = flight.pop_front().unwrap();
        c.delivered(&stamp, 1000, now);
        last = c.on_ack_end(now, AckEnd { min_rtt: Some(ms(100)), ..END });
        flight.push_back(c.stamp(now, 10_000, false));
    }
    let last = last.unwrap();
    assert_eq!((last.delivery_rate, last.delivered, last.interval), (100_000, 10_000, ms(100)));
}

#[test]
fn acknowledgments_that_come_together_are_no_faster_than_what_was_sent() {
    let mut c = DeliveryRate::new();
    // Paced over 90 ms, and the ACKs all at once.
    let stamps: [Stamp; 10] =
        core::array::from_fn(|i| c.stamp(at(10 * i as u64), 1000 * (i as u32 + 1), i == 0));
    let mut first = None;
    for (i, stamp) in stamps.iter().enumerate() {
        c.delivered(stamp, 1000, at(200));
        if i == 4 {
            first = c.on_ack_end(at(200), END);
        }
    }
    let first = first.unwrap();
    assert_eq!((first.delivered, first.interval), (5000, ms(200)), "the path was empty before");
    assert_eq!(c.on_ack_end(at(200), END).unwrap().newly_acked, 5000);
    let again = c.stamp(at(200), 1000, false);
    let spread = c.stamp(at(290), 2000, false);
    assert_eq!(again.first_send_time, at(90), "the newest that was acknowledged");
    c.delivered(&again, 1000, at(291));
    c.delivered(&spread, 1000, at(291));
    let s = c.on_ack_end(at(291), END).unwrap();
    assert_eq!((s.delivered, s.interval), (2000, ms(200)), "sent over 200 ms, acknowledged in 91");
}

#[test]
fn the_newest_of_what_an_acknowledgment_covers_counts() {
    let mut c = DeliveryRate::new();
    let [a, b, d] = [0, 10, 20].map(|t| c.stamp(at(t), 100 + t as u32, t == 0));
    c.delivered(&b, 100, at(100));
    c.delivered(&d, 100, at(100));
    c.delivered(&a, 100, at(100));
    let s = c.on_ack_end(at(100), AckEnd { in_flight: 7, rtt: Some(ms(80)), ..END }).unwrap();
    assert_eq!((s.tx_in_flight, s.newly_acked, s.in_flight, s.rtt), (120, 300, 7, Some(ms(80))));
    assert_eq!(c.on_ack_end(at(100), END), None, "nothing new");
    // Of one moment the later transmission, in whatever order they are told.
    let [e, f] = [1000, 2000].map(|n| c.stamp(at(200), n, n == 1000));
    for order in [[e, f], [f, e]] {
        let mut c = c.clone();
        for stamp in order {
            c.delivered(&stamp, 100, at(300));
        }
        assert_eq!(c.on_ack_end(at(300), END).unwrap().tx_in_flight, 2000);
    }
}

#[test]
fn an_interval_shorter_than_any_round_trip_gives_no_rate() {
    let mut c = DeliveryRate::new();
    let first = c.stamp(at(0), 1000, true);
    c.delivered(&first, 1000, at(100));
    let end = AckEnd { min_rtt: Some(ms(100)), ..END };
    assert_eq!(c.on_ack_end(at(100), end).unwrap().delivery_rate, 10_000);
    // Sent again just before the first copy was acknowledged.
    let again = c.stamp(at(110), 1000, true);
    c.delivered(&again, 1000, at(115));
    let s = c.on_ack_end(at(115), end).unwrap();
    assert_eq!((s.delivery_rate, s.newly_acked, s.delivered), (0, 1000, 1000));
    assert_eq!(c.shown(), (10_000, false), "and none is shown");
}

#[test]
fn a_bubble_marks_what_follows_until_it_is_delivered() {
    let mut c = DeliveryRate::new();
    let first = c.stamp(at(0), 1000, true);
    c.mark_app_limited(1000);
    assert!(c.is_app_limited());
    let second = c.stamp(at(10), 2000, false);
    c.delivered(&first, 1000, at(100));
    assert!(!c.on_ack_end(at(100), END).unwrap().is_app_limited, "sent before it");
    assert!(c.is_app_limited());
    let third = c.stamp(at(100), 2000, false);
    c.delivered(&second, 1000, at(110));
    assert!(c.on_ack_end(at(110), END).unwrap().is_app_limited);
    assert!(!c.is_app_limited(), "what was in flight then has been delivered");
    c.delivered(&third, 1000, at(200));
    assert!(c.on_ack_end(at(200), END).unwrap().is_app_limited, "stamped inside");
    let fourth = c.stamp(at(200), 1000, true);
    c.delivered(&fourth, 1000, at(300));
    assert!(!c.on_ack_end(at(300), END).unwrap().is_app_limited);
    // With nothing delivered and nothing in flight it is marked nevertheless.
    let mut c = DeliveryRate::new();
    c.stamp(at(0), 1, true);
    c.mark_app_limited(0);
    assert!(c.is_app_limited());
}

#[test]
fn losses_are_counted_from_each_transmission_on() {
    let mut c = DeliveryRate::new();
    let [a, b, d] = [1000, 2000, 3000].map(|n| c.stamp(at(0), n, n == 1000));
    let lost = c.lost(&a, 1000);
    assert_eq!(
        lost,
        LostPacket {
            octets: 1000,
            tx_in_flight: 1000,
            lost: 1000,
            prior_delivered: 0,
            is_app_limited: false,
            total_delivered: 0
        }
    );
    assert_eq!(c.lost(&b, 1000).lost, 2000);
    let again = c.stamp(at(100), 2000, false);
    c.delivered(&d, 1000, at(100));
    let s = c.on_ack_end(at(100), END).unwrap();
    assert_eq!((s.lost, s.newly_lost), (2000, 2000));
    c.delivered(&again, 1000, at(200));
    let s = c.on_ack_end(at(200), END).unwrap();
    assert_eq!((s.lost, s.newly_lost), (0, 0));
    let last = c.stamp(at(200), 1000, true);
    assert_eq!(c.lost(&last, 1000).prior_delivered, 2000);
}

#[test]
fn the_counts_outlast_32_bits() {
    let mut c = DeliveryRate::new();
    let mut now = 0;
    for _ in 0..6 {
        let s = c.stamp(at(now), 1 << 30, true);
        now += 1000;
        c.delivered(&s, 1 << 30, at(now));
        let s = c.on_ack_end(at(now), END).unwrap();
        assert_eq!((s.delivered, s.delivery_rate), (1 << 30, 1 << 30));
        assert_eq!(s.prior_delivered, s.total_delivered - (1 << 30));
    }
    assert_eq!(c.total(), 6 << 30);
}

#[test]
fn what_is_shown_is_the_last_rate_of_the_network_or_a_higher_one_of_the_program() {
    let mut c = DeliveryRate::new();
    let mut now = 0;
    let mut sample = |c: &mut DeliveryRate, octets: u32, limited: bool| {
        if limited {
            c.mark_app_limited(octets);
        }
        let s = c.stamp(at(now), octets, true);
        now += 1000;
        c.delivered(&s, octets, at(now));
        c.on_ack_end(at(now), END);
        // The bubble ends.
        let s = c.stamp(at(now), 1, true);
        c.delivered(&s, 1, at(now));
        c.on_ack_end(at(now), END);
        c.shown()
    };
    assert_eq!(sample(&mut c, 5000, false), (5000, false));
    assert_eq!(sample(&mut c, 3000, true), (5000, false));
    assert_eq!(sample(&mut c, 7000, true), (7000, true));
    assert_eq!(sample(&mut c, 4000, false), (4000, false));
}

#[test]
fn sizes() {
    assert!(size_of::<Stamp>() <= 48, "{}", size_of::<Stamp>());
    assert!(size_of::<DeliveryRate>() <= 8);
    assert!(size_of::<Estimator>() <= 128, "{}", size_of::<Estimator>());
}

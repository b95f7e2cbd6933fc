use proptest::prelude::*;

use super::*;

fn link(s: &str) -> Link {
    Link::with_seed(s.parse().unwrap(), 1)
}

/// Offers `count` packets of `len` octets, one each `gap`, and gives what arrived: time and number.
fn run(link: &mut Link, count: u32, len: usize, gap: Duration) -> Vec<(Instant, u32)> {
    let mut arrived = Vec::new();
    for i in 0..count {
        let mut packet = vec![0; len];
        packet[..4].copy_from_slice(&i.to_be_bytes());
        for (at, p) in link.offer(Instant::ZERO + gap * i, packet) {
            arrived.push((at, u32::from_be_bytes([p[0], p[1], p[2], p[3]])));
        }
    }
    arrived
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn a_perfect_link_carries_all_at_once() {
    let mut l = link("");
    let got = run(&mut l, 100, 1500, Duration::from_millis(1));
    assert_eq!(got, (0..100).map(|i| (Instant::from_millis(i.into()), i)).collect::<Vec<_>>());
}

#[test]
fn a_backlog_leaves_at_the_configured_rate() {
    for (rate, len) in [("56kbit", 576), ("100mbit", 1500), ("10gbit", 1500), ("7mbit", 41), ("999gbit", 64)]
    {
        let mut l = link(rate);
        let got = run(&mut l, 10_000, len, Duration::ZERO);
        let took = got.last().unwrap().0.as_nanos() as f64 / 1e9;
        let bps = (10_000 * len * 8) as f64 / took;
        let error = bps / l.config().rate_bps.unwrap() as f64 - 1.0;
        assert!(error.abs() < 0.0001, "{rate}: {bps} bit/s");
    }
}

#[test]
fn an_idle_transmitter_saves_nothing_up() {
    // 1500 octets at 12 Mbit/s take 1 ms.
    let mut l = link("12mbit,10ms");
    let got = run(&mut l, 5, 1500, Duration::from_millis(3));
    assert_eq!(
        got.iter().map(|(t, _)| t.as_micros()).collect::<Vec<_>>(),
        [11_000, 14_000, 17_000, 20_000, 23_000]
    );
}

#[test]
fn a_full_queue_drops_the_last() {
    // One on the wire, ten wait.
    let mut l = link("12mbit,queue=10p");
    assert_eq!(run(&mut l, 30, 1500, Duration::ZERO).len(), 11);
    assert_eq!((l.stats().queue_full, l.stats().max_queue_packets, l.stats().delivered), (19, 10, 11));
    // After 2.5 ms two have left the queue and the wire is at the third.
    let late = Instant::from_micros(2500);
    assert_eq!(l.offer(late, vec![0; 1500]).count(), 1);
    assert_eq!(l.offer(late, vec![0; 1500]).count(), 1);
    assert_eq!(l.offer(late, vec![0; 1500]).count(), 0);

    let mut l = link("12mbit,queue=4500b");
    assert_eq!(run(&mut l, 30, 1500, Duration::ZERO).len(), 4);
    assert_eq!(l.offer(Instant::ZERO, vec![0; 20]).count(), 0, "not an octet more");
    assert_eq!(l.stats().max_queue_bytes, 4500);
}

#[test]
fn a_packet_beyond_the_mtu_takes_no_time_on_the_wire() {
    let mut l = link("12mbit,mtu=1500");
    assert_eq!(l.offer(Instant::ZERO, vec![0; 1501]).count(), 0);
    assert_eq!(l.offer(Instant::ZERO, vec![0; 1500]).next().unwrap().0, Instant::from_millis(1));
    assert_eq!(l.stats().too_big, 1);
}

#[test]
fn losses_have_their_frequency_and_take_wire_time() {
    let mut l = link("12mbit,10%");
    let got = run(&mut l, 100_000, 1500, Duration::ZERO);
    let lost = share(l.stats().lost, 100_000);
    assert!((lost - 0.1).abs() < 0.005, "{lost}");
    assert_eq!(got.len() as u64 + l.stats().lost, 100_000);
    for (at, i) in got {
        assert_eq!(at.as_millis(), u64::from(i) + 1);
    }
    assert_eq!(run(&mut link("100%"), 1000, 40, Duration::ZERO), []);
    assert_eq!(run(&mut link("0%"), 1000, 40, Duration::ZERO).len(), 1000);
}

#[test]
fn bursts_have_their_frequency_and_their_length() {
    let mut l = link("burst=1%/25%/100%");
    let got = run(&mut l, 200_000, 40, Duration::ZERO);
    // In the long run the share of the bad state is enter / (enter + leave).
    let lost = share(l.stats().lost_in_burst, 200_000);
    assert!((lost - 0.01 / 0.26).abs() < 0.003, "{lost}");
    let gaps: Vec<u32> = got.windows(2).map(|w| w[1].1 - w[0].1 - 1).filter(|g| *g > 0).collect();
    let mean = share(gaps.iter().map(|g| u64::from(*g)).sum(), gaps.len() as u64);
    assert!((mean - 4.0).abs() < 0.25, "mean burst {mean}");
    assert_eq!(l.stats().lost, 0);
}

#[test]
fn jitter_delays_within_its_bound_and_keeps_the_order() {
    let mut l = link("5ms,jitter=10ms");
    let got = run(&mut l, 10_000, 40, Duration::from_micros(100));
    assert!(got.is_sorted_by_key(|(_, i)| *i) && got.is_sorted_by_key(|(at, _)| *at));
    let mut late = Duration::ZERO;
    for (at, i) in got {
        let took = at.saturating_since(Instant::from_micros(100 * u64::from(i)));
        assert!(took >= Duration::from_millis(5) && took <= Duration::from_millis(15));
        late = late.max(took);
    }
    assert!(late > Duration::from_millis(14), "{late:?}");

    // Spread wide apart, packets do not push each other, and the lateness is uniform.
    let mut l = link("jitter=10ms");
    let got = run(&mut l, 10_000, 40, Duration::from_millis(20));
    let sum: u64 = got.iter().map(|(at, i)| at.as_micros() - 20_000 * u64::from(*i)).sum();
    assert!((share(sum, 10_000) - 5_000.0).abs() < 150.0);
}

#[test]
fn reordered_packets_are_overtaken_and_the_others_are_not() {
    let mut l = link("5ms,reorder=10%/1ms");
    let got = run(&mut l, 10_000, 40, Duration::from_micros(100));
    assert_eq!(got.len(), 10_000);
    let held = got.iter().filter(|(at, i)| at.as_micros() == 100 * u64::from(*i) + 6_000).count();
    let plain = got.iter().filter(|(at, i)| at.as_micros() == 100 * u64::from(*i) + 5_000).count();
    assert_eq!((held + plain, held as u64), (10_000, l.stats().reordered));
    assert!((share(held as u64, 10_000) - 0.1).abs() < 0.01);
}

#[test]
fn duplicates_and_flipped_bits() {
    let mut l = link("dup=20%");
    let got = run(&mut l, 10_000, 40, Duration::from_micros(1));
    assert_eq!(got.len() as u64, 10_000 + l.stats().duplicated);
    assert_eq!(got.len() as u64, l.stats().delivered);
    assert!((share(l.stats().duplicated, 10_000) - 0.2).abs() < 0.02);
    assert!(got.is_sorted(), "a duplicate comes directly after its packet");

    let mut l = link("corrupt=50%");
    let mut flips = [0u32; 64];
    for _ in 0..10_000 {
        let (_, packet) = l.offer(Instant::ZERO, vec![0; 8]).next().unwrap();
        let word = u64::from_be_bytes(packet.try_into().unwrap());
        assert!(word.count_ones() <= 1);
        if word != 0 {
            flips[word.leading_zeros() as usize] += 1;
        }
    }
    let total: u32 = flips.iter().sum();
    assert_eq!(u64::from(total), l.stats().corrupted);
    assert!((share(total.into(), 10_000) - 0.5).abs() < 0.02);
    // 5,000 over 64 bits: 78 each, standard deviation 9.
    assert!(flips.iter().all(|n| (40..120).contains(n)), "every bit has its turn: {flips:?}");
}

#[test]
fn a_fault_hits_the_packet_it_is_meant_for() {
    let mut l = link("1ms");
    let lost = l.decide(Instant::ZERO, 40, Some(Fault::Drop));
    assert_eq!((lost.loss, lost.apply(vec![0; 40]).count()), (Some(Loss::Scripted), 0));
    let flipped = l.decide(Instant::ZERO, 2, Some(Fault::Flip(16 + 9)));
    assert_eq!(flipped.apply(vec![0, 0]).next().unwrap().1, [0, 0x40]);
    assert_eq!(flipped.to_string(), "corrupted on the link: bit 1 of octet 1");
    assert_eq!(l.decide(Instant::ZERO, 40, Some(Fault::Duplicate)).apply(vec![7]).count(), 2);
    let held = l.decide(Instant::ZERO, 40, Some(Fault::Hold(Duration::from_millis(3))));
    assert_eq!(held.arrival, Instant::from_millis(4));
    let next = l.decide(Instant::ZERO, 40, None);
    assert!(next.is_plain() && next.arrival == Instant::from_millis(1));
}

#[test]
fn the_rate_may_change_on_the_way() {
    let mut l = link("12mbit");
    assert_eq!(l.offer(Instant::ZERO, vec![0; 1500]).next().unwrap().0, Instant::from_millis(1));
    l.set_config("1.2mbit".parse().unwrap());
    assert_eq!(l.offer(Instant::ZERO, vec![0; 1500]).next().unwrap().0, Instant::from_millis(11));
    l.set_config(LinkConfig::PERFECT);
    assert_eq!(l.offer(Instant::ZERO, vec![0; 1500]).next().unwrap().0, Instant::from_millis(11));
}

#[test]
fn one_probability_does_not_shift_the_numbers_of_another() {
    let losses = |s: &str| {
        let mut l = link(s);
        (0..1000).map(|_| l.decide(Instant::ZERO, 40, None).loss.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(losses("5%"), losses("5%,dup=50%,corrupt=50%,jitter=1ms,reorder=50%/1ms,100mbit"));
    assert_ne!(losses("5%"), losses("6%"));
}

fn any_config() -> impl Strategy<Value = LinkConfig> {
    let p = || prop_oneof![Just(0.0), 0.0..0.5f64, Just(1.0)];
    let ms = || (0u64..50).prop_map(Duration::from_millis);
    let burst = proptest::option::of((p(), p(), p()).prop_map(|(enter, leave, loss)| BurstLoss {
        enter,
        leave,
        loss,
    }));
    let queue = (proptest::option::of(0u64..20_000), proptest::option::of(0u32..20))
        .prop_map(|(bytes, packets)| QueueLimit { bytes, packets });
    let limits = (proptest::option::of(1u64..1_000_000_000), queue, proptest::option::of(20u16..3000));
    (limits, ms(), ms(), p(), burst, (p(), ms()), p(), p()).prop_map(
        |(
            (rate_bps, queue, mtu),
            delay,
            jitter,
            loss,
            burst,
            (reorder, reorder_delay),
            duplicate,
            corrupt,
        )| {
            LinkConfig {
                rate_bps,
                delay,
                jitter,
                queue,
                aqm: None,
                loss,
                burst,
                reorder,
                reorder_delay,
                duplicate,
                corrupt,
                mtu,
            }
        },
    )
}

proptest! {
    /// Every packet is accounted for, none arrives before it could, and the seed decides all.
    #[test]
    fn whatever_the_link(config in any_config(), seed: u64, packets in prop::collection::vec((0u64..5_000, 20usize..3000), 1..80)) {
        let go = || {
            let mut l = Link::with_seed(config, seed);
            let mut now = Instant::ZERO;
            let mut fates = Vec::new();
            for &(gap, len) in &packets {
                now += Duration::from_micros(gap);
                let fate = l.decide(now, len, None);
                let arrived: Vec<_> = fate.apply(vec![0; len]).collect();
                assert_eq!(arrived.len(), if fate.loss.is_some() { 0 } else { 1 + usize::from(fate.duplicated) });
                assert!(arrived.iter().all(|(at, p)| *at >= now + config.delay && p.len() == len));
                fates.push(fate);
            }
            (fates, *l.stats())
        };
        let (fates, stats) = go();
        prop_assert_eq!(&go().0, &fates);
        let arrivals: Vec<_> = fates.iter().filter(|f| f.loss.is_none() && f.held.is_zero()).map(|f| f.arrival).collect();
        prop_assert!(arrivals.is_sorted(), "those not held back keep their order");
        let lost = stats.lost + stats.lost_in_burst + stats.queue_full + stats.too_big;
        prop_assert_eq!(stats.offered, packets.len() as u64);
        prop_assert_eq!(stats.delivered + lost, stats.offered + stats.duplicated);
        prop_assert_eq!(fates.iter().filter(|f| f.loss.is_some()).count() as u64, lost);
        prop_assert!(config.queue.packets.is_none_or(|n| stats.max_queue_packets <= u64::from(n)));
        prop_assert!(config.queue.bytes.is_none_or(|n| stats.max_queue_bytes <= n));
    }
}

/// An IPv4 packet with this ECN field; the rest is not looked at.
fn packet(ecn: Ecn) -> Vec<u8> {
    let mut packet = vec![0; 1500];
    (packet[0], packet[1]) = (0x45, ecn as u8);
    packet
}

/// A burst through 12 Mbit/s, where each packet takes a millisecond: what came out, with its mark.
fn burst(link: &mut Link, ecn: Ecn, count: usize) -> Vec<Ecn> {
    let arrived = (0..count).flat_map(|_| link.offer(Instant::ZERO, packet(ecn)));
    arrived.map(|(_, packet)| aqm::ecn_of(&packet)).collect()
}

#[test]
fn a_step_marks_what_waited_too_long() {
    let mut l = link("12mbit,mark=5ms");
    let got = burst(&mut l, Ecn::Ect0, 20);
    // The sixth has waited for 5 ms.
    assert_eq!(got, [[Ecn::Ect0; 6].as_slice(), &[Ecn::Ce; 14]].concat());
    assert_eq!((l.stats().marked, l.stats().managed, l.stats().delivered), (14, 0, 20));
    let mut l = link("12mbit,mark=5ms");
    assert_eq!(burst(&mut l, Ecn::NotEct, 20), [Ecn::NotEct; 20]);
    assert_eq!(l.stats().marked, 0);
}

#[test]
fn codel_marks_or_drops_a_standing_queue() {
    for (kind, ecn, marks, drops) in
        // With the drops the queue is through before the seventh is due, 464 ms after the first.
        [("codel", Ecn::Ect1, 7, 0), ("codel", Ecn::NotEct, 0, 6), ("codel-drop", Ecn::Ect1, 0, 6)]
    {
        let mut l = link(&format!("12mbit,{kind}=5ms/100ms"));
        let mut last = Instant::ZERO;
        let mut came = 0;
        // A queue of 20 ms that stands: as many come as go.
        for i in 0..470u64 {
            let at = Instant::from_millis(i.saturating_sub(20));
            for (arrival, _) in l.offer(at, packet(ecn)) {
                last = arrival;
                came += 1;
            }
        }
        assert_eq!((l.stats().marked, l.stats().managed), (marks, drops), "{kind} {ecn:?}");
        assert_eq!(came, 470 - drops);
        // What is dropped takes no time on the wire.
        assert_eq!(last, Instant::from_millis(470 - drops), "{kind} {ecn:?}");
    }
}

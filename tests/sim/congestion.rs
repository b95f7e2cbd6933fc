//! What congestion control must achieve, for each algorithm that there is: on a full link, beside another flow, by the
//! formulas.

use tunstack::core::config::Config;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::bottleneck::{Bottleneck, Lane, SENDERS, jain, set_algorithm};

/// Those of `names` that the stack has.
pub(crate) fn known<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let known = |name: &&&str| set_algorithm(&mut Config::default(), name).is_ok();
    names.iter().filter(known).copied().collect()
}

/// One flow over `link`, the same both ways.
pub(crate) fn flow(algorithm: &str, link: &str) -> Bottleneck {
    Bottleneck::new(algorithm, link.parse().expect("a link"))
}

/// The part of a link of `mbits` that `octets` of text in packets of 1500 octets take in a time.
pub(crate) fn used(octets: u64, mbits: u64, time: Duration) -> f64 {
    octets as f64 * 8.0 * 1500.0 / 1448.0 / (mbits as f64 * 1e6 * time.as_secs_f64())
}

/// A link with a queue of one bandwidth-delay product stays full once slow start has ended. Over all rates and round trips:
/// [`utilisation`](crate::utilisation).
#[test]
fn a_link_without_loss_is_filled_after_slow_start() {
    // Rate, delay each way, queue: 20, 40 and 100 ms.
    for (mbits, link) in [
        (10, "10mbit,10ms,queue=25000b"),
        (50, "50mbit,20ms,queue=250000b"),
        (20, "20mbit,50ms,queue=250000b"),
    ] {
        for algorithm in known(&["reno", "cubic", "bbr"]) {
            let mut race = flow(algorithm, link).build().expect("it is known");
            race.world.run_until(Instant::from_secs(5));
            let before = race.received();
            race.world.run_until(Instant::from_secs(35));
            race.check().expect("all goes well");
            let used = used(race.received() - before, mbits, Duration::from_secs(30));
            assert!(used >= 0.95, "{algorithm} over {link}: {used:.3} of the link");
        }
    }
}

/// Two flows that begin within a second of each other, with the same round trip and a queue of one bandwidth-delay product:
/// in the 60 s after the second has begun each gets half of what both get, within 10 % of that half.
///
/// Packets come up to the time of one of them late, in their order. Else it is the same flow whose packet finds a full
/// queue each time, for ever: an effect of phases that paths without any chance have alone (Floyd and Jacobson, "On Traffic
/// Phase Effects in Packet-Switched Gateways", 1992). Round trips are of 20 and 40 ms: the longer one is, the longer
/// CUBIC and BBR take until one that comes late has its share, with 100 ms more than the minute.
#[test]
fn two_flows_share_evenly() {
    let ways = [
        ("10mbit,10ms,jitter=1200us,queue=25000b", [7, 500, 990].as_slice()),
        ("20mbit,10ms,jitter=600us,queue=50000b", &[7, 990]),
        ("10mbit,20ms,jitter=1200us,queue=50000b", &[7, 500]),
    ];
    for algorithm in known(&["reno", "cubic", "bbr"]) {
        for (link, apart) in ways.iter().flat_map(|(link, all)| all.iter().map(move |apart| (*link, *apart)))
        {
            let mut setup = flow(algorithm, link);
            setup.lanes = vec![Lane { algorithm: algorithm.to_owned(), flows: 2 }];
            setup.stagger = Duration::from_millis(apart);
            let mut race = setup.build().expect("it is known");
            let second = Instant::ZERO + setup.stagger;
            race.world.run_until(second);
            let had = race.received() as f64;
            race.world.run_until(second + Duration::from_secs(60));
            race.check().expect("all goes well");
            let mut shares: Vec<_> = race.flows().iter().map(|flow| flow.received as f64).collect();
            assert_eq!(shares.len(), 2);
            shares[0] -= had;
            let half = (shares[0] + shares[1]) / 2.0;
            let off = (shares[0] / half - 1.0).abs();
            println!("{algorithm} over {link}, {apart} ms apart: {:.1} % off half", off * 100.0);
            assert!(
                off <= 0.10,
                "{algorithm} over {link}, {apart} ms apart: {shares:?}, {off:.3} off half, fairness {:.3}",
                jain(&shares)
            );
        }
    }
}

/// CUBIC's mean window is that of RFC 9438 §5.1, and Reno's that of AIMD there, within 10 %.
#[test]
fn the_mean_window_is_that_of_the_formula() {
    // One loss in so many packets; round trips in milliseconds. CUBIC's formula holds where Reno would be slower.
    for (every, trip_ms) in [(3_000u32, 200u32), (1_000, 300)] {
        for algorithm in known(&["reno", "cubic"]) {
            let (p, trip) = (1.0 / f64::from(every), f64::from(trip_ms) / 1e3);
            let (c, beta) = (0.4f64, 0.7f64);
            let expected = match algorithm {
                "cubic" => (c * (3.0 + beta) / (4.0 * (1.0 - beta))).powf(0.25) * (trip / p).powf(0.75),
                // AVG_AIMD(alpha, beta) with alpha 1 and beta 1/2.
                _ => (3.0 / (2.0 * p)).sqrt(),
            };
            let link = format!("10gbit,{}ms", trip_ms / 2);
            let setup = flow(algorithm, &link);
            let mut race = Bottleneck { buffer: 64 << 20, ..setup }.build().expect("it is known");
            race.world.scenario(SENDERS, move |passing| {
                let data = passing.packet.len() > 1000;
                (data && passing.number % u64::from(every) == u64::from(every) - 1)
                    .then_some(tunstack::sim::link::Fault::Drop)
            });
            // Sixty losses until slow start is forgotten, from which CUBIC comes back but slowly, and twelve periods.
            let sent = |world: &tunstack::sim::world::World| world.link(SENDERS).stats().offered;
            let limit = Instant::from_secs(3_600);
            assert!(race.world.until(limit, |world| sent(world) >= 60 * u64::from(every)));
            let (mut sum, mut count) = (0.0, 0.0);
            while sent(&race.world) < 72 * u64::from(every) {
                race.world.run_for(Duration::from_millis(u64::from(trip_ms) / 4));
                sum += f64::from(race.flows()[0].info.variables.cwnd) / 1448.0;
                count += 1.0;
            }
            race.check().expect("all goes well");
            let window = sum / count;
            let off = window / expected - 1.0;
            assert!(
                off.abs() <= 0.10,
                "{algorithm}, one loss in {every}, {trip_ms} ms: {window:.1} segments, {expected:.1} by the formula"
            );
        }
    }
}

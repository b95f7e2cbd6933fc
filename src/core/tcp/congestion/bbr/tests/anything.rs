//! Whatever it is told, in whatever order.

use proptest::prelude::*;

use super::super::*;

#[derive(Clone, Debug)]
enum Op {
    Ack([u64; 4], [u32; 6], [bool; 5]),
    Lost([u32; 4], bool),
    Event(CongestionEvent, u32),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let event = prop_oneof![
        Just(CongestionEvent::Loss),
        any::<bool>().prop_map(|first| CongestionEvent::Timeout { first }),
        Just(CongestionEvent::Idle),
        Just(CongestionEvent::Unused),
        any::<u32>().prop_map(CongestionEvent::MssChanged),
        Just(CongestionEvent::Ecn),
        Just(CongestionEvent::Undo),
    ];
    prop_oneof![
        any::<([u64; 4], [u32; 6], [bool; 5])>().prop_map(|(a, b, c)| Op::Ack(a, b, c)),
        (
            [0u64..1 << 40, 0..1 << 40, 0..1 << 40, 0..1 << 30],
            proptest::array::uniform6(0u32..1 << 24),
            any::<[bool; 5]>()
        )
            .prop_map(|(a, b, c)| Op::Ack(a, b, c)),
        any::<([u32; 4], bool)>().prop_map(|(n, b)| Op::Lost(n, b)),
        (event, any::<u32>()).prop_map(|(e, n)| Op::Event(e, n)),
        Just(Op::Restart),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_something_may_leave(mss: u32, iw: u32, ops in proptest::collection::vec(op(), 0..60)) {
        let mut bbr = super::bbr(mss, iw);
        let mut now = Instant::ZERO;
        for op in ops {
            match op {
                Op::Ack([rate, prior_delivered, total_delivered, wait], n, is) => {
                    now += Duration::from_nanos(wait);
                    bbr.on_ack(&AckSample {
                        now,
                        reducing: is[0],
                        after_timeout: is[1],
                        cwnd_limited: is[2],
                        srtt: Some(Duration::from_nanos(n[0].into())),
                        rate: Some(RateSample {
                            delivery_rate: rate,
                            interval: Duration::ZERO,
                            delivered: n[1],
                            prior_delivered,
                            total_delivered,
                            is_app_limited: is[3],
                            rtt: Some(Duration::from_nanos(u64::from(n[0]) << 8)),
                            tx_in_flight: n[2],
                            lost: n[3],
                            newly_acked: n[4],
                            newly_lost: n[3],
                            in_flight: n[5],
                            selective: is[4],
                        }),
                        ..AckSample::of(n[4])
                    });
                    prop_assert!(bbr.cwnd() >= bbr.mss.min(bbr.min_pipe_cwnd()));
                }
                Op::Lost([octets, tx_in_flight, lost, start], is_app_limited) => {
                    let prior_delivered = start.into();
                    let start = Seq::new(start);
                    let packet = LostPacket {
                        octets,
                        tx_in_flight,
                        lost,
                        prior_delivered,
                        is_app_limited,
                        total_delivered: 0,
                    };
                    bbr.on_lost(&packet, SeqRange::new(start, start.add(1)));
                }
                Op::Event(e, in_flight) => bbr.on_event(e, in_flight, now),
                Op::Restart => bbr.on_idle_restart(now),
            }
            prop_assert!(bbr.cwnd() >= 1 && bbr.pacing_rate() >= 1 && bbr.send_quantum() >= 2);
        }
    }
}

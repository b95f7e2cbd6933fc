use std::collections::VecDeque;

use tunstack_core::packet::Received;

use super::super::host::Outgoing;
use super::*;

const MS: fn(u64) -> Instant = Instant::from_millis;

/// Sends what it is told to, when it is told to, and answers each packet that arrives with its echo while
/// it has leave to.
#[derive(Default)]
struct Raw {
    plan: VecDeque<(Instant, Vec<u8>)>,
    echoes: u32,
    replies: Vec<Vec<u8>>,
    got: Vec<(Instant, Vec<u8>)>,
    restless: bool,
}

impl Raw {
    fn sending(plan: impl IntoIterator<Item = (Instant, Vec<u8>)>) -> Self {
        Self { plan: plan.into_iter().collect(), ..Self::default() }
    }

    fn echoing(times: u32) -> Self {
        Self { echoes: times, ..Self::default() }
    }
}

impl Peer for Raw {
    fn receive(&mut self, now: Instant, packet: Bytes) -> Option<Received> {
        self.got.push((now, packet.to_vec()));
        if self.echoes > 0 {
            self.echoes -= 1;
            self.replies.push(packet.to_vec());
        }
        Some(Received::Udp("taken"))
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Outgoing)) {
        self.replies.drain(..).for_each(|packet| send(packet.into()));
        while self.plan.front().is_some_and(|(at, _)| *at <= now) {
            let (_, packet) = self.plan.pop_front().unwrap();
            send(packet.into());
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        if self.restless { Some(Instant::ZERO) } else { self.plan.front().map(|(at, _)| *at) }
    }

    fn done(&self) -> bool {
        self.plan.is_empty() && self.echoes == 0
    }

    fn describe(&self) -> String {
        format!("{} to send", self.plan.len())
    }
}

fn packets(count: u8) -> impl Iterator<Item = (Instant, Vec<u8>)> {
    (0..count).map(|i| (MS(u64::from(i)), vec![i; 100]))
}

fn pair(seed: u64, a: Raw, b: Raw, link: &str) -> (World, PeerId, PeerId) {
    let mut world = World::new(seed);
    let (a, b) = (world.add("a", a), world.add("b", b));
    world.connect_both(a, b, link.parse().unwrap());
    (world, a, b)
}

#[test]
fn packets_go_there_and_come_back() {
    let (mut world, a, b) = pair(1, Raw::sending(packets(3)), Raw::echoing(3), "5ms");
    world.run_to_end(MS(100));
    world.run_until_idle(MS(100));
    let times =
        |id| world.peer::<Raw>(id).got.iter().map(|(at, p)| (at.as_millis(), p[0])).collect::<Vec<_>>();
    assert_eq!(times(b), [(5, 0), (6, 1), (7, 2)]);
    assert_eq!(times(a), [(10, 0), (11, 1), (12, 2)]);
    assert_eq!((world.now(), world.packets()), (MS(12), 6));
    assert_eq!(world.link(a).stats().delivered, 3);
}

#[test]
fn time_stands_where_the_run_was_to_end() {
    let (mut world, _, b) = pair(1, Raw::sending(packets(3)), Raw::default(), "5ms");
    world.run_until(Instant::from_micros(6_500));
    assert_eq!(world.now(), Instant::from_micros(6_500));
    assert_eq!(world.peer::<Raw>(b).got.len(), 2);
    assert!(!world.until(Instant::from_micros(6_900), |w| w.peer::<Raw>(b).got.len() == 3));
    assert!(world.until(MS(50), |w| w.peer::<Raw>(b).got.len() == 3));
    assert_eq!(world.now(), MS(7));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.now(), MS(1007));
}

#[test]
fn the_seed_decides_everything() {
    let trace = |seed| {
        let link = "1mbit,5ms,jitter=3ms,20%,dup=10%,corrupt=10%,reorder=10%/4ms,queue=3p";
        let (mut world, ..) = pair(seed, Raw::sending(packets(100)), Raw::echoing(30), link);
        world.run_until_idle(MS(1000));
        let seen: Vec<_> =
            world.records().map(|r| (r.at, r.peer, r.packet.clone(), r.note.to_string())).collect();
        (world.trace_hash(), seen)
    };
    let (hash, seen) = trace(7);
    assert_eq!(trace(7), (hash, seen));
    assert_ne!(trace(8).0, hash);
}

#[test]
fn the_hash_sees_time_and_content() {
    let hash = |at: u64, octet: u8, link: &str| {
        let (mut world, ..) = pair(1, Raw::sending([(MS(at), vec![octet; 9])]), Raw::default(), link);
        world.run_until_idle(MS(1000));
        world.trace_hash()
    };
    let base = hash(1, 1, "1ms");
    assert_eq!(base, hash(1, 1, "1ms"));
    for other in [hash(2, 1, "1ms"), hash(1, 2, "1ms"), hash(1, 1, "2ms"), hash(1, 1, "100%")] {
        assert_ne!(base, other);
    }
}

#[test]
fn a_scenario_picks_its_packets() {
    let (mut world, a, b) = pair(1, Raw::sending(packets(4)), Raw::default(), "1ms");
    world.scenario(a, |p| match p.number {
        1 => Some(Fault::Drop),
        _ if p.packet[0] == 2 => Some(Fault::Duplicate),
        _ => None,
    });
    world.run_until_idle(MS(100));
    assert_eq!(world.peer::<Raw>(b).got.iter().map(|(_, p)| p[0]).collect::<Vec<_>>(), [0, 2, 2, 3]);
    let notes: Vec<_> = world.records().filter(|r| r.peer == a).map(|r| r.note.to_string()).collect();
    assert_eq!(notes, ["", "lost on the link, as the scenario says", "duplicated on the link", ""]);
}

#[test]
fn a_hand_on_a_peer_is_followed_by_a_poll() {
    let (mut world, a, b) = pair(1, Raw::default(), Raw::default(), "1ms");
    world.run_until(MS(10));
    world.peer_mut::<Raw>(a).replies.push(vec![9]);
    world.run_until(MS(10));
    assert_eq!(world.packets(), 1);
    world.inject(a, MS(12), vec![1, 2, 3]);
    world.run_until_idle(MS(20));
    assert_eq!(world.peer::<Raw>(b).got, [(MS(11), vec![9])]);
    assert_eq!(world.peer::<Raw>(a).got, [(MS(12), vec![1, 2, 3])]);
}

fn panic_of(run: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    *payload.downcast::<String>().unwrap()
}

#[test]
fn a_livelock_ends() {
    let (mut world, ..) = pair(41, Raw { restless: true, ..Raw::default() }, Raw::default(), "");
    let text = panic_of(|| world.run_until(MS(1)));
    assert!(text.contains("livelock: peer 0") && text.contains("seed 41"), "{text}");

    let (mut world, ..) =
        pair(1, Raw { replies: vec![vec![0]], ..Raw::echoing(u32::MAX) }, Raw::echoing(u32::MAX), "");
    world.keep_octets(1000);
    let text = panic_of(|| world.run_until(MS(1)));
    assert!(text.contains("livelock: 1000001 events"), "{text}");
}

#[test]
fn a_run_that_cannot_end_says_why() {
    let (mut world, ..) = pair(1, Raw::sending(packets(3)), Raw::echoing(3), "100%");
    let text = panic_of(|| world.run_to_end(MS(100)));
    assert!(text.contains("nothing lies ahead") && text.contains("b: 0 to send"), "{text}");
    let (mut world, ..) = pair(1, Raw::sending(packets(3)), Raw::echoing(3), "200ms");
    assert!(panic_of(|| world.run_to_end(MS(100))).contains("the time is up"));
    assert!(panic_of(|| world.run_until_idle(MS(100))).contains("not idle"));
}

#[cfg(feature = "capture")]
mod captures {
    use pcap_parser::pcapng::{Block, parse_block_le};

    use super::*;

    /// Time in milliseconds, interface, inbound, first octet and comment of each packet.
    fn read(mut file: &[u8]) -> Vec<(u64, u32, bool, u8, String)> {
        let mut packets = Vec::new();
        while !file.is_empty() {
            let (rest, block) = parse_block_le(file).unwrap();
            file = rest;
            let Block::EnhancedPacket(b) = block else { continue };
            let text = b.options.iter().find(|o| o.code.0 == 1).map_or(&[][..], |o| &o.value[..o.len.into()]);
            let flags = b.options.iter().find(|o| o.code.0 == 2).unwrap().value[0];
            let nanos = u64::from(b.ts_high) << 32 | u64::from(b.ts_low);
            let ms = (nanos - 1_735_689_600_000_000_000) / 1_000_000;
            packets.push((ms, b.if_id, flags == 1, b.data[0], String::from_utf8_lossy(text).into_owned()));
        }
        packets
    }

    #[test]
    fn a_capture_shows_what_was_sent_what_was_lost_and_what_came() {
        let (mut world, a, b) = pair(1, Raw::sending(packets(2)), Raw::default(), "5ms");
        world.scenario(a, |p| (p.number == 1).then_some(Fault::Drop));
        world.run_until_idle(MS(100));
        let sent = (0, 0, false, 0, String::new());
        let lost = (1, 0, false, 1, "lost on the link, as the scenario says".to_owned());
        let came = |interface| (5, interface, true, 0, "UDP datagram: taken".to_owned());
        assert_eq!(read(&world.capture(&[a])), [sent.clone(), lost.clone()]);
        assert_eq!(read(&world.capture(&[b])), [came(0)]);
        assert_eq!(read(&world.capture(&[a, b])), [sent, lost, came(1)]);
        assert_eq!(world.capture(&[a, b]), world.capture(&[a, b]));
    }

    #[test]
    fn a_world_that_fails_leaves_its_capture() {
        let (world, ..) = pair(4711, Raw::sending(packets(2)), Raw::default(), "5ms");
        let path = world.failure_path();
        assert!(path.ends_with(
            "failed-worlds/sim-world-tests-captures-a_world_that_fails_leaves_its_capture-4711.pcapng"
        ));
        let text = panic_of(move || {
            let mut world = world;
            world.run_to_end(MS(100));
            world.run_until_idle(MS(3));
        });
        assert!(text.contains("not idle"));
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&file).len(), 2);
    }
}

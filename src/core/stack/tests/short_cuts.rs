//! Short cuts lead where the whole way leads: trains, and the predicted segments.

use alloc::format;
use alloc::string::String;

use super::*;
use crate::config::{EcnFeedback, MtuProbing};
use crate::tcp::short_cuts;

/// What is different from a pair as it is made.
type Setting<'a> = &'a dyn Fn(&mut Pair);

/// What went over the wire, when; how the two ends stood when all had arrived; and what was counted when they had closed.
type Seen = (Vec<(Instant, usize, Vec<u8>)>, [String; 2], [String; 2]);

fn conversation(setting: Setting<'_>, sizes: [usize; 3]) -> Seen {
    let mut p = Pair::new();
    p.log = Some(Vec::new());
    setting(&mut p);
    let (c, s) = p.connected();
    let [up, down, again] = sizes;
    p.transfer((0, c), (1, s), &pattern(up));
    p.transfer((1, s), (0, c), &pattern(down));
    p.transfer((0, c), (1, s), &pattern(again));
    let stand = [(0, c), (1, s)].map(|(host, id)| match p.hosts[host].slab.get(id).map(|s| &s.kind) {
        Some(Kind::Connection(tcb)) => format!("{tcb:?}"),
        other => panic!("{other:?}"),
    });
    let now = p.now;
    p.hosts[0].shutdown(c, Shutdown::Write, now).unwrap();
    p.run(|p| p.hosts[1].readiness(s).contains(Readiness::READ_CLOSED));
    let now = p.now;
    p.hosts[1].close(s, now).unwrap();
    p.run(|p| p.hosts[0].state(c) == Some(State::TimeWait) && p.hosts[1].slots() == 1);
    assert_eq!((p.hosts[1].slots(), p.hosts[1].orphans()), (1, 0), "the listener");
    let counted = p.hosts.each_ref().map(|host| format!("{:?}", host.counters()));
    (p.log.unwrap(), stand, counted)
}

#[test]
fn they_lead_where_the_whole_way_leads() {
    let plain = |_: &mut Pair| {};
    let lossy = |p: &mut Pair| p.pass = |n, _| n % 61 != 0;
    let very_lossy = |p: &mut Pair| p.pass = |n, _| n % 7 != 0;
    let partial = |p: &mut Pair| p.hosts.each_mut().map(|h| h.config_mut().offload.checksum = true);
    let without_sack = |p: &mut Pair| p.hosts[0].config_mut().tcp.sack = false;
    let without_timestamps = |p: &mut Pair| p.hosts[1].config_mut().tcp.timestamps = false;
    let paced = |p: &mut Pair| p.hosts.each_mut().map(|h| h.config_mut().tcp.pacing = true);
    let lossy_without_sack = |p: &mut Pair| {
        without_sack(p);
        lossy(p);
    };
    let ecn = |p: &mut Pair| {
        p.hosts[0].config_mut().tcp.ecn_outgoing = EcnFeedback::Classic;
        lossy(p);
    };
    let accurate = |p: &mut Pair| {
        p.hosts[0].config_mut().tcp.ecn_outgoing = EcnFeedback::Accurate;
        p.hosts[1].config_mut().tcp.ecn_incoming = EcnFeedback::Accurate;
        lossy(p);
    };
    let probing =
        |p: &mut Pair| p.hosts.each_mut().map(|h| h.config_mut().tcp.mtu_probing = MtuProbing::Always);
    // While the path is searched, or with accurate ECN, each segment is judged by itself.
    let settings: [(&str, Setting<'_>, usize); 11] = [
        ("plain", &plain, 20),
        ("lossy", &lossy, 20),
        ("very lossy", &very_lossy, 20),
        ("partial checksums", &|p| _ = partial(p), 20),
        ("without SACK", &without_sack, 20),
        ("without timestamps", &without_timestamps, 20),
        ("paced", &|p| _ = paced(p), 20),
        ("lossy, without SACK", &lossy_without_sack, 20),
        ("lossy, with ECN", &ecn, 20),
        ("lossy, with accurate ECN", &accurate, 0),
        ("with a search for the MTU", &|p| _ = probing(p), 0),
    ];
    for (name, setting, least) in settings {
        // The last ends with a full segment.
        for sizes in [[300_000, 1, 40_000], [5_000, 777_777, 100_001], [9_000, 20 * 1448, 30 * 1448]] {
            let before = short_cuts::count();
            let short = conversation(setting, sizes);
            let taken = short_cuts::count() - before;
            assert!(taken >= least, "{name}: {taken} were taken");
            short_cuts::close(true);
            let whole = conversation(setting, sizes);
            short_cuts::close(false);
            assert_eq!(short_cuts::count() - before, taken, "the whole way has none");
            for (n, (a, b)) in short.0.iter().zip(&whole.0).enumerate() {
                assert_eq!(a, b, "{name}, {sizes:?}: packet {n}");
            }
            assert_eq!(short, whole, "{name}, {sizes:?}");
        }
    }
}

/// What is done to the ends, of which the first is about to write.
type Before<'a> = &'a dyn Fn(&mut Pair, [SocketId; 2]);

/// When a sender is to be woken, whether it is queued yet, and how it stands, once it has written so many octets and what may
/// leave has left at one moment, none of which has arrived; what has left, and how many short cuts that took.
fn departure(before: Before<'_>, octets: usize, whole: bool) -> ((String, Vec<Vec<u8>>), usize) {
    departure_of(usize::MAX, before, octets, whole)
}

/// The same where so many packets are asked for at the most.
fn departure_of(
    most: usize,
    before: Before<'_>,
    octets: usize,
    whole: bool,
) -> ((String, Vec<Vec<u8>>), usize) {
    let mut p = Pair::new();
    let (c, s) = p.connected();
    p.now += Duration::from_secs(2);
    // The wheel keeps the deadlines of the handshake until they have passed, and would come up for them.
    p.hosts[0].handle_timeout(p.now);
    assert_eq!(p.hosts[0].poll_timeout(), None);
    short_cuts::close(whole);
    before(&mut p, [c, s]);
    assert_eq!(p.hosts[0].try_write(c, &pattern(octets), p.now), Ok(octets));
    let (mut left, before) = (Vec::new(), short_cuts::count());
    while left.len() < most
        && let Some(datagram) = p.hosts[0].poll_transmit(p.now)
    {
        left.push(
            datagram.body.pieces().fold(datagram.head.to_vec(), |packet, piece| [&packet, piece].concat()),
        );
    }
    short_cuts::close(false);
    let count = short_cuts::count() - before;
    let next = (p.hosts[0].poll_timeout(), p.hosts[0].turns.len());
    let Some(Kind::Connection(tcb)) = p.hosts[0].slab.get(c).map(|s| &s.kind) else { panic!("it is gone") };
    ((format!("{next:?}, {tcb:?}"), left), count)
}

/// The timers too, and where PSH stands.
#[test]
fn what_leaves_at_once_leaves_the_same_behind() {
    for segments in 1..=12 {
        let [short, whole] = [false, true].map(|whole| departure(&|_, _| {}, segments * 1448, whole));
        // An initial window.
        assert_eq!(short.0.1.len(), segments.min(10));
        assert_eq!(short.0, whole.0, "{segments} segments");
        assert_eq!((short.1, whole.1), (segments.min(10), 0), "{segments} segments");
    }
}

/// And where nobody asks whether more is to leave: the last has been noted with its departure, in the account of what limits
/// too.
#[test]
fn the_last_to_leave_leaves_nothing_to_do() {
    for segments in 1..=10 {
        let [short, whole] =
            [false, true].map(|whole| departure_of(segments, &|_, _| {}, segments * 1448, whole));
        assert_eq!(short.0.1.len(), segments);
        assert_eq!(short.0, whole.0, "{segments} segments");
        assert_eq!((short.1, whole.1), (segments, 0), "{segments} segments");
    }
}

/// And where it is not text alone that is to be told, or something is to be kept apart.
#[test]
fn what_leaves_with_more_than_text_leaves_the_same_behind() {
    let write = |p: &mut Pair, host: usize, id, octets| {
        assert_eq!(p.hosts[host].try_write(id, &pattern(octets), p.now), Ok(octets));
    };
    let idle = |p: &mut Pair, _: [SocketId; 2]| p.now += Duration::from_secs(30);
    // The second of three is missing, so the first is to be acknowledged and the last told of.
    let gap = |p: &mut Pair, [_, s]: [SocketId; 2]| {
        write(p, 1, s, 3 * 1448);
        let mut n = 0;
        while let Some(datagram) = p.hosts[1].poll_transmit(p.now) {
            let packet = segmentation::cut(&datagram).concat();
            n += 1;
            if n != 2 {
                p.hosts[0].receive(p.now, Inbound::plain(&packet));
            }
        }
        assert_eq!(n, 3);
    };
    let asked = |p: &mut Pair, [_, s]: [SocketId; 2]| {
        write(p, 1, s, 100);
        let packet = segmentation::cut(&p.hosts[1].poll_transmit(p.now).unwrap()).concat();
        p.hosts[0].receive(p.now, Inbound::plain(&packet));
    };
    let twice = |p: &mut Pair, [_, s]: [SocketId; 2]| {
        write(p, 1, s, 100);
        let packet = segmentation::cut(&p.hosts[1].poll_transmit(p.now).unwrap()).concat();
        for _ in 0..2 {
            p.hosts[0].receive(p.now, Inbound::plain(&packet));
        }
    };
    let urgent = |p: &mut Pair, [c, _]: [SocketId; 2]| {
        assert_eq!(p.hosts[0].try_write_urgent(c, &pattern(2000), p.now), Ok(2000));
    };
    let record = |p: &mut Pair, [c, _]: [SocketId; 2]| {
        write(p, 0, c, 1448 + 100);
        p.hosts[0].end_record(c).unwrap();
    };
    let tells = |p: &mut Pair, [c, _]: [SocketId; 2]| {
        let mut options = p.hosts[0].options(c).unwrap();
        options.user_timeout_option.enabled = true;
        options.set_user_timeout(Some(Duration::from_secs(40)));
        p.hosts[0].set_options(c, options, p.now).unwrap();
    };
    let offload =
        |p: &mut Pair, _: [SocketId; 2]| p.hosts[0].config_mut().offload.segmentation = 4 * 1448 + 52;
    let paced = |p: &mut Pair, _: [SocketId; 2]| p.hosts[0].config_mut().tcp.pacing = true;
    let pieces = |p: &mut Pair, [c, _]: [SocketId; 2]| {
        for _ in 0..100 {
            assert_eq!(p.hosts[0].try_write_more(c, &pattern(7), true, p.now), Ok(7));
        }
    };
    let cases: [(&str, Before<'_>); 10] = [
        ("after a silence", &idle),
        ("with a gap", &gap),
        ("as a reply", &asked),
        ("with what came twice", &twice),
        ("with urgent text", &urgent),
        ("behind a record", &record),
        ("with a user timeout", &tells),
        ("with segmentation offload", &offload),
        ("paced", &paced),
        ("behind small writes", &pieces),
    ];
    for (name, before) in cases {
        for octets in [1, 1448, 5 * 1448, 6 * 1448 + 1, 30 * 1448] {
            let [short, whole] = [false, true].map(|whole| departure(before, octets, whole));
            assert_eq!(short.0, whole.0, "{name}, {octets} octets");
            assert!(!short.0.1.is_empty(), "{name}, {octets} octets");
        }
    }
}

/// A FIN goes with the last of the text, full or not.
#[test]
fn what_leaves_before_a_fin_leaves_the_same_behind() {
    let ends = |octets: usize, whole: bool| {
        let mut p = Pair::new();
        p.log = Some(Vec::new());
        let (c, _) = p.connected();
        short_cuts::close(whole);
        assert_eq!(p.hosts[0].try_write(c, &pattern(octets), p.now), Ok(octets));
        p.hosts[0].shutdown(c, Shutdown::Write, p.now).unwrap();
        p.run(|p| p.hosts[0].state(c) == Some(State::FinWait2));
        short_cuts::close(false);
        p.log
    };
    for octets in [1448, 3 * 1448, 3 * 1448 + 5] {
        assert_eq!(ends(octets, false), ends(octets, true), "{octets} octets");
    }
}

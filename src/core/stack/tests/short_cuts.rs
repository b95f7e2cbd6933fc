//! Short cuts lead where the whole way leads: trains, and the predicted segment.

use alloc::format;
use alloc::string::String;

use super::*;
use crate::tcp::short_cuts;

/// What is different from a pair as it is made.
type Setting<'a> = &'a dyn Fn(&mut Pair);

/// What went over the wire, when, and how the two ends stood at the end.
type Seen = (Vec<(Instant, usize, Vec<u8>)>, [String; 2]);

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
    (p.log.unwrap(), stand)
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
    let settings: [(&str, Setting<'_>); 7] = [
        ("plain", &plain),
        ("lossy", &lossy),
        ("very lossy", &very_lossy),
        ("partial checksums", &|p| _ = partial(p)),
        ("without SACK", &without_sack),
        ("without timestamps", &without_timestamps),
        ("paced", &|p| _ = paced(p)),
    ];
    for (name, setting) in settings {
        for sizes in [[300_000, 1, 40_000], [5_000, 777_777, 100_001]] {
            let before = short_cuts::count();
            let short = conversation(setting, sizes);
            let taken = short_cuts::count() - before;
            assert!(taken > 20, "{name}: {taken} were taken");
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

/// How a sender stands once so many segments have left at one moment, of which none has arrived, and what has left; and how many
/// short cuts that took.
fn departure(segments: usize, whole: bool) -> ((String, Vec<Vec<u8>>), usize) {
    let mut p = Pair::new();
    let (c, _) = p.connected();
    p.now += Duration::from_secs(1);
    short_cuts::close(whole);
    assert_eq!(p.hosts[0].try_write(c, &pattern(segments * 1448), p.now), Ok(segments * 1448));
    let (mut left, before) = (Vec::new(), short_cuts::count());
    while let Some(datagram) = p.hosts[0].poll_transmit(p.now) {
        left.push(
            datagram.body.pieces().fold(datagram.head.to_vec(), |packet, piece| [&packet, piece].concat()),
        );
    }
    short_cuts::close(false);
    let Some(Kind::Connection(tcb)) = p.hosts[0].slab.get(c).map(|s| &s.kind) else { panic!("it is gone") };
    ((format!("{tcb:?}"), left), short_cuts::count() - before)
}

/// The timers too, and where PSH stands.
#[test]
fn what_leaves_at_once_leaves_the_same_behind() {
    for segments in 1..=10 {
        let ((short, taken), (whole, none)) = (departure(segments, false), departure(segments, true));
        assert_eq!(short.1.len(), segments);
        assert_eq!(short, whole, "{segments} segments");
        // Over such a path two are a burst, and the second is the train of the first.
        assert_eq!((taken, none), (segments / 2, 0), "{segments} segments");
    }
}

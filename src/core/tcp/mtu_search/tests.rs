use super::*;
use crate::config::TcpConfig;

const NOW: Instant = Instant::from_secs(1);

fn at(n: u32) -> SeqRange {
    SeqRange::new(Seq::new(n), Seq::new(n + 1))
}

/// Searches between `low` and `bound` on a path that carries `path`: the size found and the probes it took.
fn find(low: u16, bound: u16, path: u16) -> (u16, u32) {
    let config = TcpConfig::default();
    let (mut search, mut mss) = (Search::new(low, bound), low);
    for probes in 0..100 {
        search.tend(mss, bound, &config, NOW);
        let Some(size) = search.next() else { return (mss, probes) };
        assert!(size > search.low() && size <= search.high());
        search.sent(at(probes), size);
        if size <= path {
            mss = search.succeed();
        } else {
            search.fail(NOW);
        }
    }
    panic!("no end of probes");
}

//= https://www.rfc-editor.org/rfc/rfc4821#section-7.3
//= type=test
//# Each Packetization Layer MUST determine when probing has converged, that is, when the probe size range
//# is small enough that further probing is no longer worth its cost.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
//= type=test
//# When transmitting probes, the Packetization Layer MUST select a probe size that is larger than
//# search_low and smaller than or equal to search_high.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.1
//= type=test
//= id=rfc4821-own-success
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2
//= type=test
//= id=rfc4821-own-failure
#[test]
fn every_path_is_found() {
    for path in 1024..=1460 {
        let (found, probes) = find(1024, 1460, path);
        assert!(found <= path && path - found <= 8, "{path}: {found}");
        assert!(probes <= 9, "{path}: {probes}");
    }
    assert_eq!(find(1024, 1460, 1460), (1460, 2), "half way, and all");
    assert_eq!(find(1024, 1024, 1024), (1024, 0));
    assert_eq!(find(48, 65_495, 65_495), (65_495, 2));
}

//= https://www.rfc-editor.org/rfc/rfc4821#section-7.3
//= type=test
//# When probing has converged, a timer SHOULD be set.
#[test]
fn a_search_begins_anew_after_the_interval() {
    let config = TcpConfig::default();
    let mut search = Search::new(1024, 1460);
    search.bound(1030);
    search.tend(1024, 1460, &config, NOW);
    assert_eq!((search.next(), search.high()), (None, 1030));
    let later = NOW + config.mtu_probe_interval;
    search.tend(1024, 1460, &config, later - Duration::from_micros(1));
    assert_eq!(search.next(), None);
    search.tend(1024, 1460, &config, later);
    assert_eq!((search.next(), search.high()), (Some(1242), 1460));
}

//= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.4
//= type=test
//# In this case, the state variables eff_pmtu, search_low, and search_high SHOULD NOT be updated, and
//# the same-sized probe SHOULD be attempted again as soon as the probing preconditions are met (i.e.,
//# once the packetization layer has no outstanding unrecovered losses).
#[test]
fn without_a_verdict_the_size_is_tried_again_but_not_for_ever() {
    let config = TcpConfig::default();
    let mut search = Search::new(1024, 1460);
    for attempt in 0..3 {
        search.tend(1024, 1460, &config, NOW);
        assert_eq!((search.next(), search.high()), (Some(1242), 1460), "{attempt}");
        search.sent(at(attempt), 1242);
        search.undecided(NOW);
    }
    search.tend(1024, 1460, &config, NOW);
    assert_eq!(search.high(), 1241);
}

//= https://www.rfc-editor.org/rfc/rfc4821#section-7.8
//= type=test
//# However, to increase robustness, an implementation SHOULD implement some form of MTU verification,
//# such that if increasing eff_pmtu results in a sharp increase in loss rate, it will fall back to using
//# a lower MTU.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.8
//= type=test
//# A RECOMMENDED strategy would be to save the value of eff_pmtu before raising it.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.8
//= type=test
//# The saved value of eff_pmtu SHOULD be restored, and search_high reduced in the same manner as in a
//# probe failure.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.8
//= type=test
//# PLPMTUD implementations SHOULD implement MTU verification.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.1
//= type=test
//= id=rfc4821-7.6.1-1
#[test]
fn a_size_that_loses_in_window_after_window_is_taken_back() {
    let raised = || {
        let mut search = Search::new(1024, 1460);
        search.sent(at(0), 1242);
        assert_eq!(search.succeed(), 1242);
        search.raised(1024, Seq::new(10));
        search
    };
    let mut search = raised();
    assert_eq!(search.lost(1242), None, "what left before was smaller");
    for window in 1..=3 {
        search.advance(Seq::new(10 * window), Seq::new(10 * window + 10));
        let fallen = search.lost(1242);
        assert_eq!(fallen, (window == 3).then_some(1024), "{window}");
        assert_eq!(search.lost(1242), None, "once a window");
    }
    assert_eq!((search.low(), search.high()), (1024, 1241));
    // A window without loss is proof.
    let mut search = raised();
    for window in 1..=5 {
        search.advance(Seq::new(10 * window), Seq::new(10 * window + 10));
        if window != 2 {
            assert_eq!(search.lost(1242), None);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
//= type=test
//= id=rfc4821-7.1-4
#[test]
fn what_arrives_is_known_to_pass() {
    let mut search = Search::new(1024, 1460);
    search.implied(1360);
    assert_eq!((search.low(), search.high()), (1360, 1460));
    search.implied(1200);
    assert_eq!(search.low(), 1360);
}

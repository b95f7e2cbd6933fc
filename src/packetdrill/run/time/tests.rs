use super::*;
use crate::packetdrill::parser::parse;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Start and end of each event of a script, were it run so that each ends `late` after its start.
fn times(text: &str, late: Duration) -> Result<Vec<(u64, u64)>, String> {
    let script = parse(text, &[]).unwrap();
    let (mut schedule, mut now) = (Schedule::default(), Duration::ZERO);
    let mut times = Vec::new();
    for event in &script.events {
        let due = schedule.due(event, now)?;
        times.push((due.start.as_millis() as u64, due.end.as_millis() as u64));
        now = due.start + late;
    }
    Ok(times)
}

#[test]
fn relative_times_count_from_the_end_of_the_event_before_and_rows_of_inbound_packets_keep_their_distances() {
    let text = "0 < S 0:0(0) win 9
        +.010 < S 0:0(0) win 9
        +.010 > . 1:1(0) ack 1
        +.010~+.020 > . 1:1(0) ack 1
        +0 < . 1:1(0) ack 1 win 9
        +.005 < . 1:1(0) ack 1 win 9
        * > . 1:1(0) ack 1
        1 `true`
        2~3 > . 1:1(0) ack 1";
    let exact = times(text, Duration::ZERO).unwrap();
    assert_eq!(
        exact,
        [(0, 0), (10, 10), (20, 20), (30, 40), (30, 30), (35, 35), (35, 35), (1000, 1000), (2000, 3000)]
    );
    let late = times(text, at(3)).unwrap();
    assert_eq!(
        late,
        [(0, 0), (10, 10), (23, 23), (36, 46), (39, 39), (44, 44), (47, 47), (1000, 1000), (2000, 3000)]
    );
}

#[test]
fn scripts_start_at_0_and_go_on() {
    let error = times("1 `true`", Duration::ZERO).unwrap_err();
    assert_eq!(error, "the first event is at 1 s, but scripts start at 0");
    let error = times("0 `true`\n.5 `true`\n.4999 `true`", Duration::ZERO).unwrap_err();
    assert_eq!(error, "time goes backwards, from 0.5 s to 0.4999 s");
    // A relative one may lie behind an absolute one.
    assert!(times("0 `true`\n+1 `true`\n.5 `true`", Duration::ZERO).is_ok());
}

#[test]
fn the_tolerance_is_the_larger_of_4_ms_and_an_eighth_of_the_gap() {
    let net = Net::default();
    let due = |gap: u64| Due {
        start: at(1000),
        end: at(1000),
        any: false,
        base: at(0),
        since: Some(at(1000 - gap)),
    };
    for (gap, tolerance) in [(0, 4), (32, 4), (80, 10), (1000, 125)] {
        let due = due(gap);
        assert_eq!(due.check(at(1000 - tolerance), &net), Ok(()));
        assert_eq!(due.check(at(1000 + tolerance), &net), Ok(()));
        let late = due.check(at(1001 + tolerance), &net);
        let text = (
            format!("1 s, give or take {} s", seconds(at(tolerance))),
            format!("{} s", seconds(at(1001 + tolerance))),
        );
        assert_eq!(late, Err(text));
        assert!(due.check(at(999 - tolerance), &net).is_err());
    }
}

#[test]
fn a_range_is_as_good_at_its_end_as_at_its_start_and_any_time_is_always_good() {
    let net = Net::default();
    let due = Due { start: at(10), end: at(500), any: false, base: at(0), since: Some(at(0)) };
    assert_eq!(due.check(at(6), &net), Ok(()));
    assert_eq!(due.check(at(504), &net), Ok(()));
    assert!(due.check(at(5), &net).is_err());
    let (expected, actual) = due.check(at(505), &net).unwrap_err();
    assert_eq!((expected.as_str(), actual.as_str()), ("0.01~0.5 s, give or take 0.004 s", "0.505 s"));
    assert_eq!(Due { any: true, ..due }.check(at(99_999), &net), Ok(()));
}

#[test]
fn times_that_no_clock_has_do_not_overflow() {
    let due = Due { start: Duration::MAX, end: Duration::MAX, any: false, base: at(0), since: Some(at(0)) };
    assert!(due.check(Duration::ZERO, &Net::default()).is_err() || due.gap() == Duration::MAX);
    assert_eq!(seconds(Duration::from_micros(1)), "0.000001");
    assert_eq!(seconds(Duration::from_secs(10)), "10");
}

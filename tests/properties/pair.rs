//! A random pair of connections joined by a hostile link.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tunstack::core::config::Config;
use tunstack::core::time::Duration;

use crate::case::{Case, Cut, Fault, HostCase, Script, case};
use crate::run::Run;

/// Packets and timers of one case; more is a loop without end.
const MAX_STEPS: u64 = 400_000;

/// Runs a case to its rest and judges it.
fn judge(case: &Case) {
    let mut run = Run::new(case);
    let begun = run.now;
    let orderly = case.is_orderly();
    // Each fault costs a time-out of two minutes at the most; each octet through a window of one, or out of a
    // buffer of one, a round trip and a time-out.
    let octets = case.octets(0) + case.octets(1);
    let faults = case.links.iter().map(|l| l.len() as u64).sum::<u64>();
    // Where the link took a reset, all that tells is keep-alive; and the wheel of timers stirs long before that.
    let silence = if case.hosts.iter().any(|host| host.keepalive) { keepalive() } else { Duration::ZERO };
    let time = Duration::from_secs(3_600 + 121 * faults + 4 * octets) + silence;
    let mut limit = begun + time;
    // Two that read no more may wait for each other for ever: each is full of what the other has written (RFC 9293 §3.8.6.1, MUST-37).
    let mut deaf = case.scripts.iter().all(Script::is_deaf);
    let mut steps = 0;
    let mut done_at = None;
    loop {
        steps += 1;
        assert!(steps < MAX_STEPS, "no end: {}", describe(&run));
        let more = run.step(&mut |_, _| ());
        prefixes(&run);
        let both = run.hosts.iter().all(|host| host.app.closed);
        if both && done_at.is_none() {
            done_at = Some((run.now, run.link.packets));
        }
        if !more {
            // With all handles given up, or nobody there to answer a FIN, it must be over.
            let now = run.now;
            if !run.hosts.iter_mut().fold(false, |any, host| host.let_go(now) | any) {
                break;
            }
            let keepalive = case.hosts.iter().all(|h| h.keepalive);
            assert!(!orderly, "both wait for ever: {}", describe(&run));
            assert!(!keepalive || done_at.is_none(), "keep-alive did not notice: {}", describe(&run));
        }
        if !both && run.now >= limit {
            assert!(deaf, "too slow: {}", describe(&run));
            (deaf, limit) = (false, run.now + time);
            let now = run.now;
            run.hosts.iter_mut().for_each(|host| _ = host.let_go(now));
        }
    }
    for (i, host) in run.hosts.iter().enumerate() {
        assert_eq!(host.stack.slots(), 0, "host {i} keeps slots");
        assert_eq!(host.stack.orphans(), 0);
        assert_eq!(host.stack.counters().tcp_curr_estab, 0);
    }
    if orderly {
        for i in 0..2 {
            let (us, them) = (&run.hosts[i].app, &run.hosts[1 - i].app);
            assert_eq!((us.error, us.eof), (None, true), "host {i}: {}", describe(&run));
            assert_eq!(us.written, case.octets(i), "host {i}: {}", describe(&run));
            assert_eq!(us.read, them.written, "host {i}: {}", describe(&run));
        }
    }
}

/// How long keep-alive takes to find a peer gone.
fn keepalive() -> Duration {
    let tcp = Config::default().tcp;
    tcp.keepalive_time + tcp.keepalive_interval * u32::from(tcp.keepalive_probes)
}

/// Nothing is read that was not written.
fn prefixes(run: &Run) {
    for i in 0..2 {
        let (read, written) = (run.hosts[i].app.read, run.hosts[1 - i].app.written);
        assert!(read <= written, "{read} octets read of {written}");
    }
}

fn describe(run: &Run) -> String {
    let [c, s] = &run.hosts;
    format!("at {:?}\n  client: {}\n  server: {}", run.now, c.describe(), s.describe())
}

/// The client has shut down and waits for the server's text; the server aborts, and the link takes the reset. Two
/// hours of silence are right then.
#[test]
fn a_lost_reset_is_found_by_keepalive() {
    let host = HostCase {
        window_scaling: true,
        timestamps: true,
        sack: true,
        nodelay: true,
        cork: false,
        keepalive: true,
        send_buffer: 1 << 20,
        receive_buffer: 1 << 20,
        zero_copy: false,
    };
    let idle = Script { writes: Vec::new(), reads: Vec::new(), cut: None };
    let aborts = Script { writes: vec![(1, 10_000)], reads: Vec::new(), cut: Some((5_000, Cut::Abort)) };
    judge(&Case {
        v6: false,
        mtu: 1500,
        delay: 1,
        seed: 1,
        wrap: None,
        hosts: [host, host],
        scripts: [idle, aborts],
        // What the server sends: its SYN, the ACK of the client's FIN, the reset.
        links: [Vec::new(), vec![Fault::None, Fault::None, Fault::Drop]],
    });
}

/// Both read no more and write more than there is room for: each probes the other's closed window until its program closes.
#[test]
fn two_that_read_no_more_wait_for_each_other() {
    let host = HostCase {
        window_scaling: true,
        timestamps: true,
        sack: true,
        nodelay: false,
        cork: false,
        keepalive: false,
        send_buffer: 27,
        receive_buffer: 27,
        zero_copy: false,
    };
    let deaf =
        |after| Script { writes: vec![(1477, 0)], reads: Vec::new(), cut: Some((after, Cut::ShutdownRead)) };
    judge(&Case {
        v6: false,
        mtu: 1500,
        delay: 0,
        seed: 0,
        wrap: None,
        hosts: [host, host],
        scripts: [deaf(1), deaf(0)],
        links: [vec![Fault::None, Fault::Drop, Fault::None], vec![Fault::None, Fault::None, Fault::Drop]],
    });
}

/// Without faults and pauses nothing is sent twice, and nothing waits for a timer but a delayed ACK, a cork or the
/// override of silly window avoidance.
fn judge_clean(mut case: Case) {
    case.links = [Vec::new(), Vec::new()];
    // A longer round trip than the first time-out is taken for a loss.
    case.delay = case.delay.min(450);
    for script in &mut case.scripts {
        script.cut = None;
        script.writes.iter_mut().chain(&mut script.reads).for_each(|(_, pause)| *pause = 0);
    }
    let mut run = Run::new(&case);
    let begun = run.now;
    let mut took = Duration::ZERO;
    while !run.hosts.iter().all(|host| host.app.closed) {
        took = run.now.saturating_since(begun);
        assert!(run.step(&mut |_, _| ()), "both wait for ever: {}", describe(&run));
    }
    // A round trip, a delayed ACK and an override for each buffer or segment; twice, as a buffer of three is used by two and one.
    let pieces = |way: usize| {
        let buffers = case.hosts[way].send_buffer.min(case.hosts[1 - way].receive_buffer);
        case.octets(way).div_ceil(buffers.min(u32::from(case.mtu) / 2).into())
    };
    let each = Duration::from_millis(2 * u64::from(case.delay) + 40 + 200);
    let limit = each * (10 + 2 * (pieces(0) + pieces(1))) as u32;
    assert!(took <= limit, "{took:?} instead of {limit:?}: {}", describe(&run));
    for (i, host) in run.hosts.iter().enumerate() {
        let n = host.stack.counters();
        assert_eq!((n.tcp_retrans_segs, n.tcp_timeouts, n.tcp_out_rsts), (0, 0, 0), "host {i}");
    }
}

/// How many cases, unless `PROPTEST_CASES` says otherwise.
pub(crate) fn config(cases: u32, regressions: &'static str) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    ProptestConfig {
        cases,
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(4_000, "tests/properties/pair.regressions"))]

    #[test]
    fn nothing_is_lost_or_invented_and_all_ends(case in case()) {
        judge(&case);
    }
}

proptest! {
    #![proptest_config(config(1_000, "tests/properties/clean.regressions"))]

    #[test]
    fn on_a_clean_link_nothing_is_sent_twice(case in case()) {
        judge_clean(case);
    }
}

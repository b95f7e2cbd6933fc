//! The state machine a second time, written plainly from RFC 9293, and random walks that compare the stack with it after
//! every step: its state and variables with those that the model allows, and each segment with the rules for sending.
//!
//! Left out on purpose: urgent data, options but MSS, and congestion control.

#[path = "../properties/forge.rs"]
mod forge;

mod arrives;
mod model;
mod rules;
mod steps;
mod walk;

use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use tunstack::core::tcp::state::State;
use tunstack::core::time::{Duration, Instant};

use model::REQUEST_ANSWERS;
use rules::Answer;
use steps::{AckAt, At, STARTS, Step, Thrown, step, way};
use walk::{BEGAN, Walk};

/// The time at which ISS of the walk's two sockets is 300 before it wraps. It grows by one in 4 µs (§3.4.1).
fn began() -> Instant {
    static AT: OnceLock<Instant> = OnceLock::new();
    *AT.get_or_init(|| {
        let first = Instant::from_micros(BEGAN);
        let mut walk = Walk::new(8_000, first);
        walk.step(&Step::Connect).expect("a SYN");
        let iss = walk.model.iss.expect("it was seen");
        let ticks = 0u32.wrapping_sub(300).wrapping_sub(iss);
        first + Duration::from_micros(u64::from(ticks) * 4)
    })
}

#[test]
fn first_numbers_wrap() {
    let mut walk = Walk::new(8_000, began());
    walk.step(&Step::Connect).expect("a SYN");
    assert_eq!(walk.model.iss, Some(0u32.wrapping_sub(300)));
}

#[test]
fn every_start_is_reached() {
    for start in STARTS {
        let mut walk = Walk::new(8_000, began());
        for step in way(start) {
            walk.step(&step).unwrap_or_else(|why| panic!("{start:?}: {why}"));
        }
        assert_eq!(walk.model.state, start.0);
    }
}

/// A walk from a start, over a way and then `steps`.
fn walk(start: (State, bool), buffer: u32, steps: &[Step]) -> Result<Walk, String> {
    let mut walk = Walk::new(buffer, began());
    for step in way(start).iter().chain(steps) {
        walk.step(step)?;
    }
    Ok(walk)
}

fn walks() -> impl Strategy<Value = ((State, bool), u32, Vec<Step>)> {
    (select(STARTS.to_vec()), select(vec![3_000u32, 8_000, 65_535]), vec(step(), 5..60))
}

/// The arrows of Figure 5 that one segment or call walks along, those to CLOSED included, each taken by some walk.
#[test]
fn the_walks_go_everywhere() {
    use State::*;
    let mut runner = TestRunner::deterministic();
    let mut seen = Vec::new();
    for _ in 0..1_000 {
        let (start, buffer, steps) = walks().new_tree(&mut runner).expect("no filter").current();
        seen.extend(walk(start, buffer, &steps).expect("as the model says").seen);
    }
    let arrows = [
        (Closed, Listen),
        (Closed, SynSent),
        (Listen, SynReceived),
        (SynSent, SynReceived),
        (SynSent, Established),
        (SynSent, Closed),
        (SynReceived, Established),
        (SynReceived, Listen),
        (SynReceived, Closed),
        (SynReceived, FinWait1),
        (SynReceived, CloseWait),
        (Established, FinWait1),
        (Established, CloseWait),
        (Established, Closed),
        (FinWait1, FinWait2),
        (FinWait1, Closing),
        (FinWait1, TimeWait),
        (FinWait2, TimeWait),
        (Closing, TimeWait),
        (CloseWait, LastAck),
        (LastAck, Closed),
        (TimeWait, SynReceived),
    ];
    for (from, to) in arrows {
        assert!(seen.iter().any(|s| (s.0, s.1) == (from, to)), "never from {from} to {to}");
    }
    for state in State::ALL {
        let due = |f: fn(&Answer) -> bool| seen.iter().filter(|s| s.0 == state && f(&s.2)).count();
        let resets = due(|a| matches!(a, Answer::Rst { .. }));
        let acks = due(|a| matches!(a, Answer::Ack));
        let known = !matches!(state, Closed | Listen | SynSent);
        assert!(if known { acks > 20 } else { resets > 20 }, "{state}: {acks} ACKs, {resets} resets");
    }
}

/// What a flood of segments outside the window makes of a request: so many answers, then silence, and still it can be
/// acknowledged.
#[test]
fn a_request_answers_so_often_and_no_more() {
    let thrown = |seq, bits| {
        let step = Thrown { seq, seq_off: 0, ack: AckAt::Next, ack_off: 0, bits, window: 60_000, text: 1 };
        Step::Arrives(step)
    };
    let mut steps = vec![thrown(At::Edge, forge::ACK); REQUEST_ANSWERS as usize];
    let answered = walk((State::SynReceived, false), 3_000, &steps).expect("as the model says");
    assert_eq!(answered.model.answers_left, Some(0));
    assert_eq!(answered.seen.last().map(|s| s.2), Some(Answer::Ack));
    steps.push(thrown(At::Edge, forge::ACK));
    let silent = walk((State::SynReceived, false), 3_000, &steps).expect("as the model says");
    assert_eq!(silent.seen.last().map(|s| s.2), Some(Answer::Silent));
    steps.push(thrown(At::Next, forge::ACK));
    let established = walk((State::SynReceived, false), 3_000, &steps).expect("as the model says");
    assert_eq!(established.model.state, State::Established);
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    ProptestConfig {
        cases,
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/model/walk.regressions"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_stack_does_what_the_model_allows((start, buffer, steps) in walks()) {
        walk(start, buffer, &steps).map_err(TestCaseError::fail)?;
    }
}

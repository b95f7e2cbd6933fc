//! Many idle connections in one stack: what they take, and what others notice of them, while they stand and while they are
//! closed. First with few of them, then with all, and then with the first few again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::super::figures::Reading;
use super::super::lanes::{Far, Lane};
use super::super::plan::{Plan, Steps};
use super::super::proc;
use super::super::serve::{ECHO, idle};
use super::{Failure, SETTLE, broken, connect, connections, trips};

/// So many further ones are opened, and closed again, to see how fast they come.
const FURTHER: usize = 2000;
/// The far end has ports for those of all samples, of `--runs` at the most with few and with all.
const _: () = assert!(FURTHER * (2 * 99 + 1) <= idle::MOST_FURTHER);
/// In one go, after which it is told how far all is.
const PIECE: usize = 20_000;
/// What one connection takes at both ends together, octets, and what all else does.
const EACH: f64 = 2700.0;
const ALL_ELSE: f64 = (300 << 20) as f64;

/// That there is memory for so many.
pub(in super::super) fn enough_memory(idle: usize) -> Result<(), Failure> {
    let (needed, available) = (needed(idle), proc::available()?);
    if needed <= available {
        return Ok(());
    }
    let gib = |octets: f64| octets / f64::from(1 << 30);
    Err(Failure::Failed(format!(
        "million: {idle} idle connections take {:.1} GiB at both ends, and {:.1} GiB are available: try fewer (--idle)",
        gib(needed),
        gib(available)
    )))
}

fn needed(idle: usize) -> f64 {
    idle as f64 * EACH + ALL_ELSE
}

/// What samples are called with few, and with all.
struct Names {
    opened: &'static str,
    one: &'static str,
    many: &'static str,
    p50: &'static str,
    p99: &'static str,
    longest: &'static str,
}

const WITH_FEW: Names = Names {
    opened: "opened_few",
    one: "connections_1_few",
    many: "connections_64_few",
    p50: "p50_few",
    p99: "p99_few",
    longest: "longest_few",
};

const WITH_ALL: Names = Names {
    opened: "opened_all",
    one: "connections_1_all",
    many: "connections_64_all",
    p50: "p50_all",
    p99: "p99_all",
    longest: "longest_all",
};

pub(super) fn measure(
    idle: usize,
    lane: &mut Lane,
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> Result<Vec<Reading>, Failure> {
    let Steps { few, part, rest } = Steps::of(idle);
    let mut far = Far::start(plan, idle + part)?;
    let mut readings = Vec::new();
    // What the first ones make for all is not a cost of each.
    far.further(FURTHER)?;
    far.open(few)?;
    thread::sleep(SETTLE);
    let resident_few = lane.resident()?;
    let before = plan.runs.div_ceil(2);
    for n in 1..=before {
        tell(&format!("with {few}, {n} of {}", plan.runs));
        sample(&WITH_FEW, &mut readings, &mut far, lane, plan)?;
    }

    tell(&format!("closing {part}"));
    in_pieces(part, "opened", tell, |count| far.open(count))?;
    let (time, longest) = close(part, &mut far, lane)?;
    readings.push(Reading::new("close_part", time));
    readings.push(Reading::new("close_each_part", time / part as f64));
    readings.push(Reading::new("close_longest_part", longest));

    let time = in_pieces(rest, "opened", tell, |count| far.open(count))?;
    thread::sleep(SETTLE);
    let resident = lane.resident()?;
    readings.push(Reading::new("came", rest as f64 / time));
    readings.push(Reading::new("resident_few", resident_few));
    readings.push(Reading::new("resident_all", resident));
    readings.push(Reading::new("resident_each", resident / idle as f64));
    for n in 1..=plan.runs {
        tell(&format!("with {idle}, {n} of {}", plan.runs));
        sample(&WITH_ALL, &mut readings, &mut far, lane, plan)?;
    }

    tell(&format!("closing {rest}"));
    let (time, longest) = close(rest, &mut far, lane)?;
    readings.push(Reading::new("close_all", time));
    readings.push(Reading::new("close_each_all", time / rest as f64));
    readings.push(Reading::new("close_longest_all", longest));

    for n in before + 1..=plan.runs {
        tell(&format!("with {few} again, {n} of {}", plan.runs));
        sample(&WITH_FEW, &mut readings, &mut far, lane, plan)?;
    }
    Ok(readings)
}

/// One of each.
fn sample(
    names: &Names,
    readings: &mut Vec<Reading>,
    far: &mut Far,
    lane: &mut Lane,
    plan: &Plan,
) -> Result<(), Failure> {
    let time = far.further(FURTHER)?;
    readings.push(Reading::new(names.opened, FURTHER as f64 / time));
    for (name, in_flight) in [(names.one, 1), (names.many, 64)] {
        let measured = connections::measure(false, in_flight, lane, plan)?;
        readings.push(renamed(&measured, "connections", name)?);
        // The table tells the sum, as of other columns.
        readings.push(renamed(&measured, "failed", "failed")?);
    }
    let measured = trips::measure(1, lane, plan)?;
    for (from, to) in [("p50", names.p50), ("p99", names.p99), ("longest", names.longest)] {
        readings.push(renamed(&measured, from, to)?);
    }
    Ok(())
}

fn renamed(readings: &[Reading], from: &str, to: &'static str) -> Result<Reading, Failure> {
    let found = readings.iter().find(|reading| reading.name == from);
    let found = found.ok_or_else(|| Failure::Failed(format!("million: {from} was not measured")))?;
    Ok(Reading::new(to, found.value))
}

/// Tells how far it is after each piece, and gives the seconds that all of them took.
fn in_pieces(
    count: usize,
    done: &str,
    tell: &dyn Fn(&str),
    mut piece: impl FnMut(usize) -> Result<f64, Failure>,
) -> Result<f64, Failure> {
    let mut time = 0.0;
    for at in (0..count).step_by(PIECE) {
        tell(&format!("{at} of {count} {done}"));
        time += piece(PIECE.min(count - at))?;
    }
    Ok(time)
}

/// Closes so many while an active connection makes round trips: gives how long that took and the longest of these.
fn close(count: usize, far: &mut Far, lane: &Lane) -> Result<(f64, f64), Failure> {
    let mut active = connect(lane.at(ECHO[0]))?;
    let closed = AtomicBool::new(false);
    let (time, trips) = thread::scope(|scope| {
        let trips = scope.spawn(|| trips::trips(&mut active, 1, |_| !closed.load(Relaxed)));
        // It is on its way before the first is closed.
        thread::sleep(Duration::from_millis(20));
        let time = in_pieces(count, "closed", &|_| (), |count| far.close(count));
        closed.store(true, Relaxed);
        (time, trips.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked"))))
    });
    let mut trips = trips.map_err(|e| broken("million", lane, &e))?;
    Ok((time?, trips.percentile(100.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_for_a_million_is_about_three_gib() {
        let gib = needed(1_000_000) / f64::from(1 << 30);
        assert!((2.5..3.0).contains(&gib), "{gib}");
        assert!(enough_memory(10).is_ok());
        let Err(Failure::Failed(why)) = enough_memory(1 << 50) else { panic!("no machine has that") };
        assert!(why.contains("--idle") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn pieces_are_all_of_it() {
        let mut pieces = Vec::new();
        let told = std::cell::RefCell::new(Vec::new());
        let tell = |text: &str| told.borrow_mut().push(text.to_owned());
        let time = in_pieces(2 * PIECE + 7, "opened", &tell, |count| {
            pieces.push(count);
            Ok(0.5)
        });
        assert_eq!((time.ok(), pieces), (Some(1.5), vec![PIECE, PIECE, 7]));
        assert_eq!(told.borrow()[1], "20000 of 40007 opened");
    }
}

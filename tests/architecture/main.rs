//! The walls of the house, read from the source. Each rule is a function from source to complaints; the
//! last tests of this file give each a source that it has to complain about.

mod modules;
mod source;

use modules::Crate;
use source::{Files, lines_with, read, tokens, without_tests};

/// The longest file, in lines.
const LONGEST: usize = 600;

/// Files that may be longer, and why.
const LONGER: [(&str, &str); 0] = [];

/// The facade's modules, and which of the others each may use: the picture's direction, downward. The
/// program (`src/cli`) is a crate of its own that sees what any program sees.
const FACADE: [(&str, &[&str]); 12] = [
    ("pcapng", &[]),
    ("sim", &["pcapng"]),
    ("observe", &["sim"]),
    // `sim` for its link alone, which `device::impair` puts around a real device.
    ("device", &["pcapng", "sim"]),
    ("engine", &["device"]),
    ("net", &["engine"]),
    ("bsd", &["engine"]),
    ("ring", &["bsd", "engine"]),
    ("poll", &["engine", "net"]),
    ("aio", &["engine", "net"]),
    ("sysctl", &[]),
    ("packetdrill", &["bsd", "device", "engine", "pcapng", "sysctl"]),
];

/// Uses of what stands further down, and why they stay.
const UPWARD: [(&str, &str); 1] =
    [("tcp::tcb uses tcp::output::ack", "the record of owed acknowledgments is a part of the connection's")];

/// What the core must not name even though its tests may: it knows no clock and no operating system.
const NOT_IN_CORE: [&[&str]; 5] = [
    &["std", "::"],
    &["extern", "crate", "std"],
    &["Instant", "::", "now"],
    &["SystemTime"],
    &["thread_rng"],
];

/// Where numbers wrap around that are not sequence numbers.
const WRAPS: [(&str, &str); 11] = [
    ("src/core/seq.rs", "sequence numbers"),
    ("src/core/tcp/timestamps.rs", "timestamps, RFC 7323"),
    ("src/core/tcp/time_wait.rs", "timestamps, RFC 6191"),
    ("src/core/tcp/request.rs", "the time of a SYN,ACK in 32 bits"),
    ("src/core/tcp/isn.rs", "the sum of RFC 6528"),
    ("src/core/tcp/tally.rs", "counts of TCP_INFO, which has 32 bits for them"),
    ("src/core/tcp/acc_ecn.rs", "the counters of RFC 9768, which go around"),
    ("src/core/tcp/marks.rs", "the same"),
    ("src/core/tcp/syn_cookie.rs", "the sums of SYN cookies, RFC 4987"),
    ("src/core/ip/output.rs", "the Identification field"),
    ("src/core/wire/checksum.rs", "words that overflow on the way to their sum"),
];

/// Where `unsafe` stands, and for what.
const UNSAFE: [(&str, &str); 9] = [
    ("src/device/sys.rs", "ioctl on a TUN device"),
    ("src/device/ring.rs", "reads that the kernel makes on its own"),
    ("src/engine/signals.rs", "the mask of signals"),
    ("src/bsd/sys.rs", "descriptors that a program names by number"),
    ("src/capi/", "pointers from C"),
    ("src/packetdrill/so/", "pointers from packetdrill"),
    ("tests/differential/kernel.rs", "the kernel's socket calls, as C makes them"),
    ("tests/steady.rs", "an allocator that counts"),
    ("tests/kernel/udp_options.rs", "options of the kernel's UDP, by their numbers"),
];

/// The clock is read in one place; the program measures what it prints.
const CLOCKS: [&str; 2] = ["src/engine/clock.rs", "src/cli/"];

fn order(files: &Files, root: &str) -> Vec<String> {
    let tree = Crate::read(files, root);
    let mut complaints = tree.faults.clone();
    let excused = |complaint: &String| UPWARD.iter().any(|(part, _)| complaint.contains(part));
    complaints.extend(tree.upward().into_iter().filter(|complaint| !excused(complaint)));
    complaints
}

fn layers(files: &Files, root: &str, allowed: &[(&str, &[&str])]) -> Vec<String> {
    let tree = Crate::read(files, root);
    let mut complaints = Vec::new();
    for name in tree.modules.keys().filter_map(|path| path.first()) {
        if !allowed.iter().any(|(module, _)| module == name) {
            complaints.push(format!("{root}: say in FACADE what {name} may use"));
        }
    }
    for used in tree.uses() {
        let (Some(from), Some(to)) = (used.from.first(), used.to.first()) else { continue };
        let permitted = allowed.iter().any(|(module, list)| module == from && list.contains(&to.as_str()));
        if from != to && !permitted {
            complaints.push(format!("{}: {from} must not use {to}", used.place));
        }
    }
    complaints
}

/// Files that no `mod` line leads to, tests aside: `tests.rs`, and what a `tests` folder holds.
fn strays(files: &Files, roots: &[&str]) -> Vec<String> {
    let reached: Vec<String> = roots
        .iter()
        .flat_map(|root| Crate::read(files, root).modules.into_values().map(|module| module.file))
        .collect();
    let is_test =
        |file: &str| file.ends_with("/tests.rs") || file.contains("/tests/") || file.ends_with("/testing.rs");
    files
        .keys()
        .filter(|file| !reached.contains(file) && !is_test(file))
        .map(|file| format!("{file}: no mod line leads here"))
        .collect()
}

/// Where one of `patterns` stands in a file that `concerns` picks. Test code counts if `in_tests`.
fn forbidden(
    files: &Files,
    patterns: &[&[&str]],
    in_tests: bool,
    concerns: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in files.iter().filter(|(file, _)| concerns(file)) {
        let test_file =
            file.ends_with("tests.rs") || file.contains("/tests/") || file.ends_with("testing.rs");
        if test_file && !in_tests {
            continue;
        }
        let all = tokens(text);
        let code = if in_tests { all } else { without_tests(&all) };
        for pattern in patterns {
            for line in lines_with(&code, pattern) {
                complaints.push(format!("{file}:{line}: {}", pattern.concat()));
            }
        }
    }
    complaints
}

fn core(file: &str) -> bool {
    file.starts_with("src/core/")
}

fn not_in_core(files: &Files) -> Vec<String> {
    forbidden(files, &NOT_IN_CORE, false, core)
}

fn clocks(files: &Files) -> Vec<String> {
    let patterns: [&[&str]; 3] =
        [&["Instant", "::", "now"], &["SystemTime", "::", "now"], &["clock_gettime"]];
    forbidden(files, &patterns, false, |file| !CLOCKS.iter().any(|place| file.starts_with(place)))
}

/// A simulated world is the same at each run.
fn chance(files: &Files) -> Vec<String> {
    let patterns: [&[&str]; 6] = [
        &["HashMap"],
        &["HashSet"],
        &["SysRng"],
        &["thread", "::", "spawn"],
        &["thread", "::", "sleep"],
        &["Instant", "::", "now"],
    ];
    forbidden(files, &patterns, false, |file| file.starts_with("src/sim/"))
}

fn unsafe_code(files: &Files) -> Vec<String> {
    forbidden(files, &[&["unsafe"]], true, |file| !UNSAFE.iter().any(|(place, _)| file.starts_with(place)))
}

/// A sequence number is a number only on the wire: whoever takes it out to compute with it, or computes
/// with a wrap-around at all, does what `seq.rs` is for.
fn sequence_numbers(files: &Files) -> Vec<String> {
    let wrapping: [&[&str]; 4] =
        [&["wrapping_add"], &["wrapping_sub"], &["overflowing_add"], &["overflowing_sub"]];
    let casts: [&[&str]; 9] = [
        &[".", "get", "(", ")", "as"],
        &[".", "get", "(", ")", "+"],
        &[".", "get", "(", ")", "-"],
        &[".", "get", "(", ")", "<"],
        &[".", "get", "(", ")", ">"],
        &["Seq", ")", "as"],
        &["seq", "as"],
        &["nxt", "as"],
        &["una", "as"],
    ];
    let elsewhere = |file: &str| core(file) && !WRAPS.iter().any(|(place, _)| *place == file);
    let mut complaints = forbidden(files, &wrapping, false, elsewhere);
    complaints.extend(forbidden(files, &casts, false, |file| core(file) && file != "src/core/seq.rs"));
    complaints
}

fn length(files: &Files) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in files {
        let lines = text.lines().count();
        if lines > LONGEST && !LONGER.iter().any(|(name, _)| name == file) {
            complaints.push(format!("{file}: {lines} lines, {LONGEST} at the most"));
        }
    }
    complaints
}

/// Each file says first what it is about.
fn headings(files: &Files) -> Vec<String> {
    files
        .iter()
        .filter(|(file, text)| {
            !file.ends_with("/tests.rs") && !file.contains("src/net/tests/") && !text.starts_with("//! ")
        })
        .map(|(file, _)| format!("{file}: does not begin with what it is about"))
        .collect()
}

#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The least number of files and uses that a reader of this repository which works will see.
#[test]
fn the_source_is_really_read() {
    let files = read(&["src"]);
    let core = Crate::read(&files, "src/core/lib.rs");
    assert!(core.modules.len() > 50, "{} modules", core.modules.len());
    assert!(core.uses().len() > 200, "{} uses", core.uses().len());
    let facade = Crate::read(&files, "src/lib.rs");
    assert!(facade.modules.len() > 20, "{} modules", facade.modules.len());
    assert!(
        facade
            .uses()
            .iter()
            .any(|u| u.from.starts_with(&["net".into()]) && u.to.starts_with(&["engine".into()]))
    );
}

#[test]
fn a_module_of_the_core_uses_only_those_above_it() {
    none(order(&read(&["src"]), "src/core/lib.rs"));
}

#[test]
fn a_module_of_the_facade_uses_only_those_above_it() {
    none(order(&read(&["src"]), "src/lib.rs"));
}

#[test]
fn a_module_of_the_program_uses_only_those_above_it() {
    none(order(&read(&["src"]), "src/cli/main.rs"));
}

#[test]
fn the_facade_is_built_downward() {
    none(layers(&read(&["src"]), "src/lib.rs", &FACADE));
}

#[test]
fn every_file_belongs_to_a_crate() {
    none(strays(
        &read(&["src"]),
        &["src/lib.rs", "src/core/lib.rs", "src/cli/main.rs", "src/capi/lib.rs", "src/packetdrill/so/lib.rs"],
    ));
}

#[test]
fn the_core_knows_no_clock_and_no_system() {
    none(not_in_core(&read(&["src"])));
}

#[test]
fn the_clock_is_read_in_one_place() {
    none(clocks(&read(&["src"])));
}

#[test]
fn a_simulation_leaves_nothing_to_chance() {
    none(chance(&read(&["src"])));
}

#[test]
fn unsafe_code_is_in_few_files() {
    none(unsafe_code(&read(&["src", "tests", "benches", "examples"])));
}

#[test]
fn sequence_numbers_wrap_in_one_file() {
    none(sequence_numbers(&read(&["src"])));
}

#[test]
fn files_are_short() {
    none(length(&read(&["src", "tests", "benches", "examples"])));
}

#[test]
fn files_say_what_they_are_about() {
    none(headings(&read(&["src", "tests", "benches", "examples"])));
}

/// Exceptions that nobody needs any longer are taken out.
#[test]
fn every_exception_is_needed() {
    let files = read(&["src"]);
    for (file, why) in LONGER {
        assert!(files.get(file).is_some_and(|text| text.lines().count() > LONGEST), "{file}: {why}");
    }
    let everywhere = read(&["src", "tests", "benches", "examples"]);
    for (place, why) in UNSAFE {
        let found = everywhere.iter().any(|(file, text)| file.starts_with(place) && text.contains("unsafe"));
        assert!(found, "{place}: {why}");
    }
    let trees = ["src/lib.rs", "src/core/lib.rs", "src/cli/main.rs"];
    let upward: Vec<String> = trees.iter().flat_map(|root| Crate::read(&files, root).upward()).collect();
    for (part, why) in UPWARD {
        assert!(upward.iter().any(|complaint| complaint.contains(part)), "{part}: {why}");
    }
    for (file, why) in WRAPS {
        let text = files.get(file).unwrap_or_else(|| panic!("{file}: {why}"));
        assert!(text.contains("wrapping_"), "{file}: {why}");
    }
}

fn sources(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

/// The number of complaints, and that each names one of `places`.
#[track_caller]
fn complains(complaints: &[String], places: &[&str]) {
    assert_eq!(complaints.len(), places.len(), "{complaints:#?}");
    for place in places {
        assert!(complaints.iter().any(|c| c.contains(place)), "{place} in {complaints:#?}");
    }
}

#[test]
fn the_order_is_seen_through_every_form_of_use() {
    let files = sources(&[
        ("a/lib.rs", "mod low; mod high; pub use high::{deep, Shown};\n#[cfg(test)] mod tests;"),
        (
            "a/low.rs",
            "use crate::high;\n\
             use core::fmt::{self, Debug};\n\
             fn f() { super::high::g() }\n\
             use super::{fmt, high::{deep::Thing as T}};\n\
             use crate::deep;\n\
             type S = crate::Shown;\n\
             fn h() { self::g() }\n\
             /// crate::high\n\
             #[cfg(test)] mod tests { use crate::high; }",
        ),
        ("a/high.rs", "mod deep; use crate::low; use deep::Thing; use self::deep as d; fn g() { Shown }"),
        ("a/high/deep.rs", "use super::super::low; use super::g;"),
    ]);
    let found = order(&files, "a/lib.rs");
    complains(&found, &["low.rs:1:", "low.rs:3:", "low.rs:4:", "low.rs:5:", "low.rs:6:"]);
    let nested = sources(&[("a/lib.rs", "mod b { use super::c; } mod c;")]);
    complains(&order(&nested, "a/lib.rs"), &["module b needs", "a/c/mod.rs: no such file"]);
}

#[test]
fn the_layers_are_seen() {
    let files = sources(&[
        ("x/lib.rs", "mod device; mod engine; mod net; mod extra;"),
        ("x/device.rs", ""),
        ("x/engine.rs", "use crate::device::D;"),
        ("x/net/mod.rs", "use crate::engine::E;\nuse crate::device::D;"),
        ("x/extra.rs", ""),
        ("x/stray.rs", ""),
    ]);
    let allowed: [(&str, &[&str]); 3] = [("device", &[]), ("engine", &["device"]), ("net", &["engine"])];
    let found = layers(&files, "x/lib.rs", &allowed);
    complains(&found, &["say in FACADE what extra", "net/mod.rs:2: net must not use device"]);
    complains(&strays(&files, &["x/lib.rs"]), &["stray.rs"]);
}

#[test]
fn what_is_forbidden_is_seen() {
    let files = sources(&[
        (
            "src/core/a.rs",
            "//! A.\nuse std::io;\nfn f() { Instant::now() }\n#[cfg(test)]\nmod t { extern crate std; }",
        ),
        ("src/core/b.rs", "// std::io, Instant::now\nfn f() -> &str { \"SystemTime\" }"),
        ("src/core/tcp/c.rs", "fn f(s: Seq) {\n s.get() as i32;\n a.wrapping_sub(b);\n s.get() < t.get() }"),
        ("src/core/seq.rs", "fn f(s: Seq) { s.0.wrapping_sub(t.0) as i32 }"),
        ("src/sim/d.rs", "use std::collections::HashMap;"),
        ("src/device/sys.rs", "unsafe {}"),
        ("src/device/g.rs", "//! G.\nfn f() { rustix::time::clock_gettime(ClockId::Monotonic) }"),
        ("src/net/e.rs", "//! E.\nfn f() {\n unsafe { x } }\n#[cfg(test)] mod t { unsafe {} }"),
    ]);
    complains(&not_in_core(&files), &["core/a.rs:2: std::", "core/a.rs:3: Instant::now"]);
    complains(&clocks(&files), &["core/a.rs:3", "device/g.rs:2: clock_gettime"]);
    complains(&chance(&files), &["src/sim/d.rs:1: HashMap"]);
    complains(&unsafe_code(&files), &["e.rs:3", "e.rs:4"]);
    complains(&sequence_numbers(&files), &["c.rs:2: .get()as", "c.rs:3: wrapping_sub", "c.rs:4: .get()<"]);
    complains(&headings(&files), &["b.rs", "c.rs", "seq.rs", "d.rs", "sys.rs"]);
    let long = sources(&[("a.rs", &"\n".repeat(LONGEST + 1)), ("b.rs", &"\n".repeat(LONGEST))]);
    complains(&length(&long), &["a.rs: 601 lines"]);
}

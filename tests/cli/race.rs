//! `tunstack race`: what it says, draws and refuses.

use std::path::Path;

use super::program::*;

pub(crate) fn algorithms_are_raced_and_drawn() {
    let dir = Scratch::new();
    let svg = dir.path("race.svg");
    let args = format!("race --cc reno,reno --link 10mbit,10ms,1% --flows 2 --seconds 5 --svg {svg}");
    let done = run(&args);
    assert_ok(&done);
    let out = text(&done.stdout);
    let rows: Vec<_> = out.lines().filter(|line| line.starts_with("reno ")).collect();
    assert_eq!(rows.len(), 2, "{out}");
    // The same seed, the same run.
    assert_eq!(rows[0], rows[1]);
    assert!(out.contains("queue 25000 octets") && out.contains("fairness") && out.contains(&svg), "{out}");
    let drawing = std::fs::read_to_string(&svg).unwrap();
    for part in
        ["<svg", "cwnd", "srtt", "throughput, Mbit/s", "sequence number", "SACK block", "fast retransmit"]
    {
        assert!(drawing.contains(part), "{part}");
    }

    let done =
        run(&format!("race --cc reno --link 10mbit,10ms,1% --seconds 5 --json --queue 20p --seed {}", 7));
    assert_ok(&done);
    let lines: Vec<serde_json::Value> =
        text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["result", "summary"]);
    let result = &lines[0];
    assert_eq!(result["algorithm"], "reno");
    let goodput = result["goodput_bps"].as_f64().unwrap();
    assert!((1e6..1e7).contains(&goodput), "{result}");
    assert_eq!(result["share"].as_f64().unwrap(), goodput / 1e7);
    let again: u64 = result["reasons"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(result["retransmits"], again);
    assert!(again > 0 && result["queue_delay_p95"].as_f64().unwrap() <= 0.024, "{result}");
}

/// A queue that is short does not run over by a window that leaves bit by bit.
pub(crate) fn slow_start_is_paced_unless_that_is_not_wanted() {
    let goodput = |more: &str| {
        let done =
            run(&format!("race --cc cubic --link 100mbit,10ms --queue 0.25bdp --seconds 1 --json{more}"));
        assert_ok(&done);
        let out = text(&done.stdout);
        let result: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        assert_eq!(result["slow_start_paced"], more.is_empty());
        result["goodput_bps"].as_f64().unwrap()
    };
    let (paced, plain) = (goodput(""), goodput(" --no-slow-start-pacing"));
    assert!(paced > 1.1 * plain, "{paced} after {plain}");
}

/// Time is virtual: each command of docs/race draws the plot that stands there.
pub(crate) fn the_plots_are_the_committed_ones() {
    let dir = Scratch::new();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/race");
    let page = std::fs::read_to_string(docs.join("README.md")).unwrap();
    let mut drawn = 0;
    for command in page.lines().filter_map(|line| line.split_once("`tunstack race ")?.1.strip_suffix("` |")) {
        let (arguments, svg) = command.rsplit_once(' ').unwrap();
        let (name, new) = (Path::new(svg).file_name().unwrap(), dir.path("new.svg"));
        assert_ok(&run(&format!("race {arguments} {new}")));
        let same = std::fs::read(&new).unwrap() == std::fs::read(docs.join(name)).unwrap();
        assert!(same, "{svg} is not what `tunstack race {command}` draws: run it, and look at what is new");
        drawn += 1;
    }
    assert_eq!(drawn, std::fs::read_dir(docs).unwrap().count() - 1, "as many plots as commands");
}

/// BBR has no slow start threshold to show.
pub(crate) fn a_legend_tells_of_what_is_drawn() {
    let dir = Scratch::new();
    for (algorithm, shown) in [("reno", true), ("bbr", false)] {
        let svg = dir.path("legend.svg");
        let done =
            run(&format!("race --cc {algorithm} --link 10mbit,10ms --queue 1bdp --seconds 2 --svg {svg}"));
        assert_ok(&done);
        let drawing = std::fs::read_to_string(&svg).unwrap();
        assert_eq!(["ssthresh", "slow start"].map(|what| drawing.contains(what)), [shown; 2], "{algorithm}");
        assert!(drawing.contains("recovery"), "{algorithm}");
    }
}

/// With root's rights, which these tests have in their namespace.
pub(crate) fn the_kernel_is_raced() {
    let done = run("race --kernel --cc reno --link 20mbit,5ms --runs 1 --seconds 1 --json");
    assert_ok(&done);
    let lines: Vec<serde_json::Value> =
        text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let senders: Vec<_> = lines.iter().filter_map(|line| line["sender"].as_str()).collect();
    assert_eq!(senders, ["kernel", "tunstack"]);
    for line in lines.iter().filter(|line| line["event"] == "run") {
        assert_eq!(line["octets"], 2_500_000);
        // The link's rate holds for both, on a busy machine too.
        let goodput = line["goodput_bps"].as_f64().unwrap();
        assert!((1e6..2e7).contains(&goodput), "{line}");
    }
    let result = lines.iter().find(|line| line["event"] == "result").unwrap();
    assert!(result["ratio"].as_f64().unwrap() > 0.0);
}

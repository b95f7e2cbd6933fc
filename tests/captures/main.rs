//! The captures in `pcap/`: made by the simulator, the same each time, and what `pcap/README.md` claims of them.
//!
//! `UPDATE=1 cargo test --test captures` writes the files, and the tables of the README, anew.

#[path = "../common/tshark.rs"]
mod tshark;

mod lab;

mod stories;

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use table::CAPTURES;
use tunstack::pcapng::{CaptureWriter, Direction};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcap")
}

/// A file with what the simulator makes, for tshark: whether the committed one is the same is another test's affair.
fn made(capture: &table::Capture) -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pcap");
        fs::create_dir_all(&folder).unwrap();
        for capture in CAPTURES {
            fs::write(folder.join(capture.file()), (capture.make)()).unwrap();
        }
        folder
    });
    folder.join(capture.file())
}

fn update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// Compares with what is committed, or commits it.
#[track_caller]
fn compare(path: &Path, made: &[u8]) {
    if update() {
        fs::write(path, made).unwrap();
    }
    let committed = fs::read(path).unwrap_or_default();
    assert!(committed == made, "{} is out of date: UPDATE=1 writes it anew", path.display());
}

#[test]
fn each_file_is_what_the_simulator_makes() {
    for capture in CAPTURES {
        let made = (capture.make)();
        assert_eq!(made, (capture.make)(), "{} differs from run to run", capture.name);
        assert!(made.len() < 80 << 10, "{} has {} octets: too much to look at", capture.name, made.len());
        compare(&folder().join(capture.file()), &made);
    }
}

#[test]
fn the_folder_holds_these_files_and_no_others() {
    let mut wanted: BTreeSet<String> = CAPTURES.iter().map(table::Capture::file).collect();
    wanted.insert("README.md".to_owned());
    let found = fs::read_dir(folder()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn the_readme_has_a_chapter_and_a_table_for_each() {
    let path = folder().join("README.md");
    let mut readme = fs::read_to_string(&path).unwrap();
    for capture in CAPTURES {
        let title = format!("\n## {}\n", capture.file());
        let start = readme.find(&title).unwrap_or_else(|| panic!("no chapter {title:?}")) + title.len();
        let end = readme[start..].find("\n## ").map_or(readme.len(), |at| start + at);
        let chapter = &readme[start..end];
        let first = start + chapter.find("\n| ").expect("a table") + 1;
        let last = first + readme[first..end].find("\n\n").map_or(end - first, |at| at + 1);
        readme.replace_range(first..last, &capture.table());
    }
    compare(&path, readme.as_bytes());
}

#[test]
fn tshark_finds_nothing_wrong() {
    if !tshark::installed() {
        return;
    }
    let faults: Vec<_> = CAPTURES.iter().filter_map(|c| tshark::judge(&made(c)).err()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn tshark_shows_the_packets_that_the_tables_name() {
    if !tshark::installed() {
        return;
    }
    let wrong_of = |capture: &table::Capture| {
        let path = made(capture);
        let mut wrong = String::new();
        for row in capture.shows {
            let found = tshark::shown_by(&path, row.filter).map_or_else(|e| e, |n| table::in_words(&n));
            if found != row.packets {
                wrong += &format!("{}: `{}` shows {found}, not {}\n", capture.name, row.filter, row.packets);
            }
        }
        wrong
    };
    // One tshark a row, and each takes its time to start.
    let wrong: String = thread::scope(|scope| {
        let judges: Vec<_> = CAPTURES.iter().map(|c| scope.spawn(move || wrong_of(c))).collect();
        judges.into_iter().map(|judge| judge.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_readmes_commands_do_something() {
    if !tshark::installed() {
        return;
    }
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let commands: Vec<_> = readme.lines().filter(|line| line.starts_with("tshark ")).collect();
    assert!(!commands.is_empty());
    for command in commands {
        let root = env!("CARGO_MANIFEST_DIR");
        let output = Command::new("sh").args(["-c", command]).current_dir(root).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{command}: {output:?}");
    }
}

#[test]
fn tshark_would_find_what_is_wrong() {
    if !tshark::installed() {
        return;
    }
    let good = lab::udp_packet();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let judge = |packets: &[(&[u8], Option<&str>)]| {
        let mut writer = CaptureWriter::new(Vec::new(), &["tun0"]).unwrap();
        for (packet, comment) in packets {
            writer.packet(0, std::time::Duration::ZERO, Direction::Outbound, &[packet], *comment);
        }
        let path = std::env::temp_dir().join(format!("tunstack-judge-{}.pcapng", std::process::id()));
        fs::write(&path, writer.finish().unwrap()).unwrap();
        let verdict = tshark::judge(&path);
        fs::remove_file(&path).unwrap();
        verdict
    };
    let summary = judge(&[(&good, Some("one")), (&good, Some("two"))]).unwrap();
    assert_eq!((summary.packets, summary.interfaces["tun0"], summary.protocols["udp"]), (2, 2, 2));
    let fault = judge(&[(&good, Some("one")), (&bad, Some("two"))]).unwrap_err();
    assert!(fault.contains("packet 2: udp.checksum.status is bad"), "{fault}");
    let fault = judge(&[(&good, None)]).unwrap_err();
    assert!(fault.contains("packet 1 has no comment"), "{fault}");
    let fault = judge(&[(&good[..24], Some("cut"))]).unwrap_err();
    assert!(fault.contains("packet 1 is malformed"), "{fault}");
    assert!(judge(&[]).unwrap_err().contains("no packets"));
}

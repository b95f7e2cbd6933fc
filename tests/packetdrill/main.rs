//! Every script below this folder, over IPv4, IPv4-mapped IPv6 and IPv6, in virtual time: a test each.
//!
//! A script whose head names an `--ip_version` is run with that alone.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use tunstack::packetdrill::diff;
use tunstack::packetdrill::run::{Options, Verdict, run};

const VERSIONS: [&str; 3] = ["ipv4", "ipv4-mapped-ipv6", "ipv6"];

fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            found.push(path);
        }
    }
}

fn one(path: &Path, name: &str, version: Option<&str>) -> Result<(), Failed> {
    let text = fs::read_to_string(path)?;
    let mut settings = Vec::new();
    if let Some(version) = version {
        settings.push(("ip_version".to_owned(), Some(version.to_owned())));
    }
    if version == Some("ipv6") {
        // A full segment has as many octets as over IPv4.
        settings.push(("mtu".to_owned(), Some("1520".to_owned())));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let outcome = run(name, &text, &Options { settings, captures: None, folder })
        .map_err(|error| error.render(name, &text))?;
    match outcome.verdict {
        Verdict::Passed => Ok(()),
        Verdict::Failed(failure) => Err(diff::render(name, &text, &failure).into()),
        Verdict::Skipped(why) => Err(format!("skipped: {why}").into()),
    }
}

fn main() {
    let args = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packetdrill");
    let mut found = Vec::new();
    scripts(&root, &mut found);
    assert!(!found.is_empty(), "there are scripts");
    let mut trials = Vec::new();
    for path in found {
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        let text = fs::read_to_string(&path).expect("it can be read");
        let own = text.lines().any(|line| line.starts_with("--ip_version"));
        let versions = if own { vec![None] } else { VERSIONS.map(Some).to_vec() };
        for version in versions {
            let (path, name) = (path.clone(), name.clone());
            let title = version.map_or_else(|| name.clone(), |version| format!("{name} {version}"));
            trials.push(Trial::test(title, move || one(&path, &name, version)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

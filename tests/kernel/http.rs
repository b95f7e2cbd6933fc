//! `tunstack serve` with curl and load generators over the kernel's TCP.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};

use crate::ends::Pattern;
use crate::host::tcp_ext;
use crate::program::{Scratch, Tunstack, child, has, run};

const URLS: [&str; 2] = ["http://10.7.0.2/", "http://[fd07::2]/"];

fn sha(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// 100 MB each way.
pub(crate) fn fetched_and_sent() {
    if !has("curl") {
        return;
    }
    let dir = Scratch::new();
    let site = dir.path("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("big"), Pattern(100).take(100_000_000)).unwrap();
    fs::write(dir.path("mine"), Pattern(101).take(100_000_000)).unwrap();
    let program = Tunstack::start(&["serve".as_ref(), site.as_os_str(), "--upload".as_ref()]);
    for (n, url) in URLS.iter().enumerate() {
        let fetched = dir.path("fetched");
        let speed = run(child("curl")
            .args(["-gsSf", "-m", "120", "-w", "%{speed_download}", "-o"])
            .arg(&fetched)
            .arg(format!("{url}big")));
        println!("{url}: fetched at {speed} octets/s");
        assert_eq!(sha(&fetched), sha(&site.join("big")));
        let to = format!("sent{n}");
        let said = run(child("curl")
            .args(["-gsSf", "-m", "120", "-w", "%{speed_upload}", "-T"])
            .arg(dir.path("mine"))
            .arg(format!("{url}{to}")));
        println!("{url}: sent, at this many octets/s: {said}");
        assert_eq!(sha(&site.join(to)), sha(&dir.path("mine")));
    }
    program.end();
    assert_eq!(tcp_ext("PAWSEstab"), 0, "no segment is older than the one before");
}

/// 1,000 connections at once and 20,000 requests, each on a connection of its own or on kept ones.
pub(crate) fn load() {
    if !has("ab") {
        return;
    }
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let dir = Scratch::new();
    fs::write(dir.path("page"), Pattern(102).take(1000)).unwrap();
    let program = Tunstack::start(&["serve".as_ref(), dir.path("").as_os_str()]);
    for url in URLS {
        for keep in [&["-k"][..], &[]] {
            let said = run(child("ab")
                .args(["-q", "-r", "-s", "30", "-c", "1000", "-n", "20000"])
                .args(keep)
                .arg(format!("{url}page")));
            let number = |name: &str| {
                let line = said.lines().find_map(|line| line.strip_prefix(name));
                line.map(|rest| rest.split_whitespace().next().unwrap().to_owned())
            };
            assert_eq!(number("Complete requests:").as_deref(), Some("20000"), "{said}");
            assert_eq!(number("Failed requests:").as_deref(), Some("0"), "{said}");
            assert_eq!(number("Non-2xx responses:"), None, "{said}");
            assert_eq!(number("Write errors:"), None, "{said}");
            println!("{url} {keep:?}: {} requests/s", number("Requests per second:").unwrap());
        }
        if has("wrk") {
            let said = run(child("wrk")
                .args(["-t", "2", "-c", "1000", "-d", "2", "--timeout", "30"])
                .arg(format!("{url}page")));
            assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
            println!("{url}: {said}");
        }
    }
    let counted = program.end();
    assert!(counted["ListenOverflows"].is_null() && counted["ListenDrops"].is_null(), "{counted}");
}

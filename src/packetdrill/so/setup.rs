//! Where the stack's addresses and settings come from: packetdrill's options, the sysctls of its namespace, and the parameters
//! of the machine's modules: scripts change those of CUBIC.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rust::core::addr::Prefix;
use rust::core::config::Config;
use rust::packetdrill::net::Net;
use rust::packetdrill::parser;
use rust::sysctl::{self, SysctlError, Values};

/// packetdrill's options: `--name=value` and `--name`, the command line's after the script's, so that they have the last
/// word. Shortened flags (`-D`) are not among those that matter here.
fn options() -> Vec<(String, Option<String>)> {
    let Ok(line) = fs::read("/proc/self/cmdline") else { return Vec::new() };
    let words: Vec<String> = line
        .split(|octet| *octet == 0)
        .skip(1)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let defines: Vec<(String, String)> = words
        .iter()
        .zip(words.iter().skip(1))
        .filter(|(flag, _)| *flag == "-D" || *flag == "--define")
        .filter_map(|(_, define)| define.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let script = words.iter().find(|word| word.ends_with(".pkt"));
    let script = script.and_then(|path| fs::read_to_string(path).ok());
    let head = script.and_then(|text| parser::parse(&text, &defines).ok()).map(|script| script.options);
    let head = head.into_iter().flatten().map(|option| (option.name, option.value));
    let own =
        words.iter().filter_map(|word| word.strip_prefix("--")).map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.to_owned(), None),
        });
    head.chain(own).collect()
}

/// The stack's settings, its MTU, and the data of each segment that a longer packet is joined from (`--mss`).
pub(crate) fn config() -> (Config, u16, Option<u16>) {
    let mut net = Net::default();
    for (name, value) in options() {
        if let Err(why) = net.apply(&name, value.as_deref()) {
            complain!("--{name}: {why}");
        }
    }
    let mut config = Config { mtu: net.mtu, ..Config::default() };
    config.addresses.push(Prefix::new(net.local.into(), net.prefix));
    // What scripts presume of Linux and it has no sysctl for.
    config.tcp.tolerate_missing_timestamps = !net.strict_timestamps;
    // No pacing but under the queueing discipline `fq`, which a script's command may ask for.
    config.tcp.slow_start_pacing = false;
    read_sysctls(&mut config);
    (config, net.mtu, net.mss)
}

/// What has been said of the sysctls: they are read before many calls, and once is enough.
static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Takes over what the namespace says now. What it says that the stack has no counterpart for is told, but for the algorithm
/// of congestion control: a namespace begins with the machine's, and may not change it to any.
pub(crate) fn read_sysctls(config: &mut Config) {
    for root in ["/proc/sys", "/sys"] {
        match sysctl::read_from(Path::new(root), config) {
            Ok(reading) => reading.refused.iter().filter(|error| !is_of_algorithm(error)).for_each(say_once),
            Err(error) => say_once(&error),
        }
    }
    take_zero_secret(config);
}

/// A script may have chosen a secret of zeros for Fast Open. Linux shows the same where none was made, but then no script can
/// count on a cookie, and no network is there that could make use of a secret that all know.
fn take_zero_secret(config: &mut Config) {
    let name = "net.ipv4.tcp_fastopen_key";
    let shown = fs::read_to_string(Path::new("/proc/sys").join(name.replace('.', "/")));
    // One that is not zero has been taken over; one that cannot be read is nothing to say of.
    let zeros = shown.is_ok_and(|shown| shown.trim().chars().all(|c| matches!(c, '0' | '-')));
    if zeros && let Err(error) = sysctl::set(config, name, "00000000-00000000-00000000-00000000") {
        say_once(&error);
    }
}

const fn is_of_algorithm(error: &SysctlError) -> bool {
    matches!(error, SysctlError::Value { row, .. } if matches!(row.values(), Values::Algorithm))
}

fn say_once(error: &SysctlError) {
    let text = error.to_string();
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone()) {
        complain!("{text}");
    }
}

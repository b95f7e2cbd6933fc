//! What the examples say to people who mistype.

use std::process::Output;

use crate::example::command;

/// Runs an example that must not get far: its exit code, and the first line on standard error.
fn fails(name: &str, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(name).args(args).output().unwrap();
    assert!(stdout.is_empty(), "{name} {args:?}: {}", String::from_utf8_lossy(&stdout));
    let said = String::from_utf8_lossy(&stderr).into_owned();
    (status.code(), said.lines().next().unwrap_or_default().to_owned())
}

pub(crate) fn refused() {
    for (name, args, code, says) in [
        ("udp_echo", &["--addr", "10.7.0.2"][..], 2, "10.7.0.2/24"),
        ("udp_echo", &["--addr", "10.7.0.2/33"], 2, "up to 32"),
        ("udp_echo", &["--addr", "10.7.0.2/32"], 1, "no address for the host"),
        ("udp_echo", &["--addr", "fd07::2/64"], 1, "not an IPv4 address"),
        ("udp_echo", &["--port", "65536"], 2, "--port"),
        ("udp_echo", &["--prot", "7"], 2, "--prot"),
        ("dns_server", &[], 2, "required"),
        ("dns_server", &["--record", "www.test"], 2, "www.test=192.0.2.1"),
        ("dns_server", &["--record", "www.test=192.0.2"], 2, "no IP address"),
        ("dns_server", &["--record", "www..test=192.0.2.1"], 2, "no domain name"),
        ("dns_server", &["--record", "www.example=192.0.2.1"], 1, "not in --zone test."),
        ("https_server", &[], 2, "required"),
        ("https_server", &["--cert-out", "/nowhere/cert.pem"], 1, "cannot write /nowhere/cert.pem: No such"),
        ("resolve_and_fetch", &["--server", "10.7.0.1"], 2, "required"),
        ("resolve_and_fetch", &["--server", "ns.test", "http://www.test/"], 2, "no IP address"),
        ("resolve_and_fetch", &["--server", "10.7.0.1", "https://www.test/"], 2, "http://www.test/"),
        ("resolve_and_fetch", &["--server", "10.7.0.1", "www.test"], 2, "http://www.test/"),
    ] {
        let (got, said) = fails(name, args);
        assert!(got == Some(code) && said.contains(says), "{name} {args:?}: {got:?}, {said}");
    }
}

pub(crate) fn no_device() {
    let (code, said) = fails("udp_echo", &["--dev", "lo"]);
    assert!(code == Some(1) && said.contains("not a plain TUN"), "{code:?}: {said}");
}

//! The HTTPS server, with curl as client.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sha2::{Digest, Sha256};
use tunstack::sim::pattern::Pattern;

use crate::example::Example;
use crate::host::{ready, until_routed};
use crate::program::{Scratch, child, run};

const SIZE: usize = 8_000_000;

const VERSIONS: [(&str, &str); 2] = [("--http1.1", "1.1"), ("--http2", "2")];

fn curl(args: &[&str]) -> Command {
    let mut curl = child("curl");
    curl.args(["-gsS", "-m", "60", "--noproxy", "*"]).args(args);
    curl
}

fn sha(path: &Path) -> impl PartialEq + std::fmt::Debug + use<> {
    Sha256::digest(fs::read(path).unwrap())
}

fn start(certificate: &Path) -> Example {
    ready();
    let example = Example::start("https_server", &["--cert-out".as_ref(), certificate.as_os_str()]);
    until_routed();
    example
}

/// Several megabytes each way at once, by both versions of HTTP.
pub(crate) fn fetched_by_curl() {
    let dir = Scratch::new();
    let (certificate, sent, back) = (dir.path("cert.pem"), dir.path("sent"), dir.path("back"));
    let example = start(&certificate);
    let certificate = certificate.to_str().unwrap();
    let mut body = vec![0; SIZE];
    Pattern::new(1).fill(0, &mut body);
    fs::write(&sent, body).unwrap();
    for base in ["https://10.7.0.2", "https://[fd07::2]"] {
        for (flag, version) in VERSIONS {
            let page = run(curl(&["-f", flag, "--cacert", certificate]).arg(format!("{base}/")));
            let came = format!("came by HTTP/{version}{}", if version == "2" { ".0" } else { "" });
            assert!(page.contains("It works") && page.contains(&came), "{page}");

            let said =
                run(curl(&["-f", flag, "--cacert", certificate, "-w", "%{http_version} %{size_upload}"])
                    .arg("--data-binary")
                    .arg(format!("@{}", sent.display()))
                    .arg("-o")
                    .arg(&back)
                    .arg(format!("{base}/echo")));
            assert_eq!(said, format!("{version} {SIZE}"));
            assert_eq!(sha(&back), sha(&sent), "{base} {flag}");
            fs::remove_file(&back).unwrap();
        }
    }
    assert_eq!(example.end(), "");
}

/// Who does not know the certificate, or looks for another host, gets nothing.
pub(crate) fn certificate_is_verified() {
    let dir = Scratch::new();
    let (certificate, other) = (dir.path("cert.pem"), dir.path("other.pem"));
    let example = start(&certificate);
    let another = rcgen::generate_simple_self_signed(vec!["10.7.0.2".to_owned()]).unwrap();
    fs::write(&other, another.cert.pem()).unwrap();
    let refused = |args: &[&str], codes: &[i32]| {
        let Output { status, stdout, stderr } = curl(args).output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.code().is_some_and(|code| codes.contains(&code)), "{args:?}: {status}, {said}");
        assert!(stdout.is_empty(), "{args:?}");
    };
    let (certificate, other) = (certificate.to_str().unwrap(), other.to_str().unwrap());
    // curl's words for it: 60, the peer's certificate cannot be authenticated.
    refused(&["https://10.7.0.2/"], &[60]);
    refused(&["--cacert", other, "https://10.7.0.2/"], &[60]);
    let as_another = ["--cacert", certificate, "--resolve", "www.test:443:10.7.0.2", "https://www.test/"];
    refused(&as_another, &[60]);
    // And who speaks no TLS at all gets no page either: nothing, or a reset, or an alert that is no HTTP.
    refused(&["http://10.7.0.2:443/"], &[1, 52, 56]);
    // The next one is served.
    assert!(run(&mut curl(&["-f", "--cacert", certificate, "https://10.7.0.2/"])).contains("It works"));
    let complaints = example.end();
    assert!(complaints.lines().all(|line| line.starts_with("TLS: ")), "{complaints}");
}

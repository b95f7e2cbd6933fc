//! Nobody answers.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::io::Errno;

use crate::host::{ip, start_with, sysctl};

/// Addresses of the link that nobody has: the kernel routes nothing, and neither do we.
const NOBODY: [&str; 2] = ["10.7.0.99", "fd07::99"];

pub(crate) fn black_hole() {
    let engine = start_with(
        |config| {
            config.tcp.syn_retries = 1;
            config.tcp.initial_rto = Duration::from_millis(200);
        },
        |tun| tun,
    );
    sysctl("ipv4/tcp_syn_retries", "1");
    for to in NOBODY.map(|a| SocketAddr::new(ip(a), 80)) {
        // The caller's patience.
        let short = Duration::from_millis(50);
        assert_eq!(engine.connect_timeout(&to, short).unwrap_err().kind(), ErrorKind::TimedOut);
        // And that of each stack itself.
        let ours = engine.connect(to).unwrap_err();
        let theirs = TcpStream::connect(to).unwrap_err();
        for error in [ours, theirs] {
            assert_eq!(error.raw_os_error(), Some(Errno::TIMEDOUT.raw_os_error()), "{error}");
        }
    }
    assert!(engine.sockets().is_empty());
}

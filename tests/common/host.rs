//! The kernel's end of a device: its addresses and the stack's, and octets that go both ways at once.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;

/// Host and stack in each family, as `TunConfig::default` has them.
pub(crate) const ADDRESSES: [(&str, &str); 2] = [("10.7.0.1", "10.7.0.2"), ("fd07::1", "fd07::2")];

/// For what must come long before.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// The settings of a stack that has those addresses.
pub(crate) fn config() -> Config {
    let addresses = vec![Prefix::new(ip("10.7.0.2").into(), 24), Prefix::new(ip("fd07::2").into(), 64)];
    Config { addresses, ..Config::default() }
}

/// Octets in which a swap, a loss or a repetition shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Sends and receives so many octets at once, so that both directions are full, and checks what comes back.
pub(crate) fn exchange<S: Read + Send, W: Write + Send>(
    len: usize,
    mut reader: S,
    mut writer: W,
    end: impl FnOnce() + Send,
) {
    let data = pattern(len);
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&data).unwrap();
            end();
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        assert!(back == data, "{} octets came back", back.len());
    });
}

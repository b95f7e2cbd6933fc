//! The UDP echo server.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use tunstack::sim::pattern::Pattern;

use crate::example::Example;
use crate::host::{ADDRESSES, LONG, ready, until_routed};

/// For each address family: 500 datagrams from nothing to all that one holds, half of them in fragments.
pub(crate) fn echo() {
    ready();
    let example = Example::start::<&str>("udp_echo", &[]);
    until_routed();
    let mut echo = vec![0; 65_535];
    for (host, stack) in ADDRESSES {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        socket.connect((stack, 7)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let small = (0..250).map(|n| n * 6);
        let large = (0..250).map(|n| 65_507 - n * 256);
        for (n, size) in small.chain(large).enumerate() {
            let mut data = vec![0; size];
            Pattern::new(n as u64).fill(0, &mut data);
            assert_eq!(socket.send(&data).unwrap(), size);
            let len = socket.recv(&mut echo).unwrap_or_else(|e| panic!("{size} octets, {stack}: {e}"));
            assert!(echo[..len] == data, "{size} octets went to {stack}, {len} came back");
        }
        // One each: nothing comes twice.
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(socket.recv(&mut echo).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    assert_eq!(example.end(), "");
}

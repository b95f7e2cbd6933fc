//! TCP Fast Open (RFC 7413) between two engines.

use std::io::{Read, Write};

use tunstack_core::tcp::fast_open::Modes;

use super::super::TcpSocket;
use super::*;

#[test]
fn what_is_written_first_goes_with_the_connection_request() {
    let Pair { left, right } = pair();
    right.configure(|config| config.tcp.fast_open = Modes::SERVER);
    let listener = TcpSocket::new_v4(&right).unwrap();
    listener.bind("10.7.0.2:80".parse().unwrap()).unwrap();
    listener.set_fast_open_queue(4).unwrap();
    let listener = listener.listen(4).unwrap();
    let address = listener.local_addr().unwrap();
    for again in [false, true] {
        let socket = TcpSocket::new_v4(&left).unwrap();
        socket.set_fast_open(true).unwrap();
        let mut client = socket.connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut octets = [0; 5];
        server.read_exact(&mut octets).unwrap();
        assert_eq!(&octets, b"hello");
        server.write_all(b"hi").unwrap();
        client.read_exact(&mut octets[..2]).unwrap();
        assert_eq!(&octets[..2], b"hi");
        let opened = u64::from(again);
        assert_eq!(right.counters().tcp_fast_open_passive, opened);
        assert_eq!(left.counters().tcp_fast_open_active, opened);
    }
    assert_eq!(right.counters().tcp_fast_open_cookie_reqd, 1);
}

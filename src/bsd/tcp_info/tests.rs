//! The offsets are those of `linux-raw-sys`, which are made from the kernel's headers.

use std::mem::offset_of;

use linux_raw_sys::net::tcp_info as Layout;

use super::super::Sockets;
use super::super::abi::*;
use super::LEN;
use crate::device::pipe::Pipe;
use crate::engine::Engine;

fn info(sys: &Sockets, fd: i32) -> Vec<u8> {
    let mut value = [0xaa; 300];
    let written = sys.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &mut value).unwrap();
    value[..written].to_vec()
}

fn word(info: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(info[at..at + 4].try_into().unwrap())
}

fn long(info: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(info[at..at + 8].try_into().unwrap())
}

macro_rules! field {
    ($read:ident, $info:expr, $name:ident) => {
        $read(&$info, offset_of!(Layout, $name))
    };
}

#[test]
fn each_field_stands_where_linux_has_it() {
    let (device, _other) = Pipe::pair(1500).unwrap();
    let engine = Engine::builder().device(device).start().unwrap();
    let sys = Sockets::new(&engine);
    let listener = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let fresh = info(&sys, listener);
    assert_eq!((fresh.len(), LEN), (size_of::<Layout>() + 32, size_of::<Layout>() + 32));
    assert_eq!(fresh[offset_of!(Layout, tcpi_state)], 7);
    assert_eq!(field!(word, fresh, tcpi_rto), 1_000_000);
    assert_eq!(field!(word, fresh, tcpi_snd_mss), 536);
    assert_eq!(field!(word, fresh, tcpi_snd_ssthresh), 0x7fff_ffff);
    assert_eq!(field!(word, fresh, tcpi_snd_cwnd), 10);
    assert_eq!(field!(word, fresh, tcpi_reordering), 3);
    assert_eq!(field!(long, fresh, tcpi_pacing_rate), u64::MAX);
    assert_eq!(field!(long, fresh, tcpi_max_pacing_rate), u64::MAX);
    assert_eq!(field!(long, fresh, tcpi_bytes_acked), 0);

    sys.setsockopt(listener, SOL_SOCKET, SO_MAX_PACING_RATE, &9_000_000u64.to_ne_bytes()).unwrap();
    let limited = info(&sys, listener);
    assert_eq!(field!(long, limited, tcpi_max_pacing_rate), 9_000_000);

    sys.bind(listener, &"127.0.0.1:7".parse().unwrap()).unwrap();
    sys.listen(listener, 5).unwrap();
    let client = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.connect(client, &"127.0.0.1:7".parse().unwrap()).unwrap();
    let listens = info(&sys, listener);
    assert_eq!(listens[offset_of!(Layout, tcpi_state)], 10);
    assert_eq!(field!(word, listens, tcpi_unacked), 1, "who waits to be accepted");
    assert_eq!(field!(word, listens, tcpi_sacked), 5, "the backlog");

    let (server, _) = sys.accept(listener).unwrap();
    sys.setsockopt_int(client, IPPROTO_TCP, TCP_CORK, 1).unwrap();
    sys.send(client, b"corked", MsgFlags::empty()).unwrap();
    sys.shutdown(server, SHUT_WR).unwrap();
    let (stands, ends) = (info(&sys, client), info(&sys, server));
    assert_eq!(stands[offset_of!(Layout, tcpi_state)], 8, "CLOSE-WAIT");
    assert_eq!(ends[offset_of!(Layout, tcpi_state)], 5, "FIN-WAIT-2");
    assert_eq!(stands[offset_of!(Layout, tcpi_options)], 7, "timestamps, SACK, window scale");
    let scales = stands[offset_of!(Layout, _bitfield_1)];
    assert_eq!(scales, 10 << 4 | 10, "for 32 MiB, at both ends");
    assert_eq!(field!(word, stands, tcpi_snd_mss), 1448);
    assert_eq!(field!(word, stands, tcpi_advmss), 1460);
    assert_eq!(field!(word, stands, tcpi_pmtu), 1500);
    assert_eq!(field!(word, stands, tcpi_unacked), 0);
    assert_eq!(field!(word, stands, tcpi_notsent_bytes), 6);
    assert_eq!(field!(word, stands, tcpi_ato), 40_000);
    assert!(field!(word, stands, tcpi_rto) >= 200_000);
    assert_eq!(field!(word, stands, tcpi_snd_cwnd), 10);
    // 45 segments of 1448 octets and 44 of 1460, as the SYNs said, rounded up to what a scaled field tells.
    assert_eq!(field!(word, stands, tcpi_snd_wnd), 65_536);
    assert_eq!(field!(word, stands, tcpi_rcv_wnd), 64_512);
    assert_eq!(field!(word, stands, tcpi_rcv_ssthresh), 64_512);
    assert_eq!(field!(word, stands, tcpi_rcv_space), 0, "nothing has arrived");
    assert_eq!(field!(word, stands, tcpi_rcv_rtt), 0);
    assert_eq!(field!(long, stands, tcpi_bytes_sent), 0, "it is corked");
    sys.setsockopt_int(client, IPPROTO_TCP, TCP_CORK, 0).unwrap();
    let (sent, received) = (info(&sys, client), info(&sys, server));
    assert_eq!(field!(long, sent, tcpi_bytes_sent), 6);
    assert_eq!(field!(long, sent, tcpi_bytes_acked), 6);
    assert_eq!(field!(long, sent, tcpi_bytes_retrans), 0);
    assert!(field!(long, sent, tcpi_pacing_rate) < u64::MAX);
    assert_eq!(field!(long, sent, tcpi_max_pacing_rate), u64::MAX);
    assert_eq!(field!(word, sent, tcpi_data_segs_out), 1);
    assert_eq!(field!(word, sent, tcpi_data_segs_in), 0);
    assert_eq!(field!(word, sent, tcpi_total_retrans), 0);
    assert_eq!(field!(long, received, tcpi_bytes_received), 6);
    assert_eq!(field!(word, received, tcpi_data_segs_in), 1);
    assert!(field!(word, received, tcpi_segs_in) > 1);
    assert_eq!(field!(word, received, tcpi_rcv_ssthresh), 65_536, "for six octets no more");
    assert_eq!(field!(word, received, tcpi_rcv_space), 10 * 1448);
    assert!(field!(word, received, tcpi_segs_out) > 0);
    let rtt = field!(word, stands, tcpi_rtt);
    assert!(rtt > 0);
    assert!(field!(word, stands, tcpi_min_rtt) <= rtt);
    // A sample over less than the shortest round trip is none: one of many is over more.
    let delivers = (0..1000).any(|_| {
        sys.send(client, b"more", MsgFlags::empty()).unwrap();
        field!(long, info(&sys, client), tcpi_delivery_rate) > 0
    });
    assert!(delivers);
}

/// A short buffer gets the first fields.
#[test]
fn cut_to_the_buffer() {
    let (device, _other) = Pipe::pair(1500).unwrap();
    let engine = Engine::builder().device(device).start().unwrap();
    let sys = Sockets::new(&engine);
    let fd = sys.socket(AF_INET6, SOCK_STREAM, 0).unwrap();
    let whole = info(&sys, fd);
    for room in [0, 1, 8, 104, 247] {
        let mut value = vec![0; room];
        assert_eq!(sys.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &mut value), Ok(room));
        assert_eq!(value, whole[..room]);
    }
}

//! Expectations are what Linux 6.18 answered to the same calls, save where a test says otherwise.

use tunstack_core::config::Config;
use tunstack_core::tcp::congestion::{Algorithm, Custom};

use super::super::Errno;
use super::super::abi::*;
use super::super::{Result, Sockets};
use crate::bsd::testing::{alone, connection};
use crate::device::pipe::Pipe;
use crate::engine::Engine;

/// Fresh sockets: TCP and UDP, IPv4 and IPv6.
const KINDS: [(i32, i32); 4] =
    [(AF_INET, SOCK_STREAM), (AF_INET6, SOCK_STREAM), (AF_INET, SOCK_DGRAM), (AF_INET6, SOCK_DGRAM)];

fn get(sys: &Sockets, fd: i32, level: i32, name: i32, room: usize) -> Result<Vec<u8>> {
    let mut value = vec![0xaa; room];
    let written = sys.getsockopt(fd, level, name, &mut value)?;
    assert!(value[written..].iter().all(|octet| *octet == 0xaa), "nothing behind the value");
    value.truncate(written);
    Ok(value)
}

/// Sets a fresh socket's option and reads it.
fn set_get(sys: &Sockets, kind: (i32, i32), level: i32, name: i32, value: i32) -> Result<i32> {
    let fd = sys.socket(kind.0, kind.1, 0)?;
    let result = sys.setsockopt_int(fd, level, name, value);
    let result = result.and_then(|()| sys.getsockopt_int(fd, level, name));
    sys.close(fd)?;
    result
}

const TCP: (i32, i32) = (AF_INET, SOCK_STREAM);
const TCP6: (i32, i32) = (AF_INET6, SOCK_STREAM);
const UDP: (i32, i32) = (AF_INET, SOCK_DGRAM);
const UDP6: (i32, i32) = (AF_INET6, SOCK_DGRAM);

#[test]
fn lengths() {
    let (sys, _other) = alone();
    for kind in KINDS {
        let fd = sys.socket(kind.0, kind.1, 0).unwrap();
        let set = |level, name, value: &[u8]| sys.setsockopt(fd, level, name, value);
        for short in [&[][..], &[1], &[1, 0], &[1, 0, 0]] {
            for name in [SO_REUSEADDR, SO_SNDBUF, SO_TYPE, SO_LINGER, SO_RCVTIMEO, 4000] {
                assert_eq!(set(SOL_SOCKET, name, short), Err(Errno::INVAL), "{kind:?} {name}");
            }
            // An octet is enough for IPv4, and nothing at all for some.
            let expected = if short.is_empty() { Err(Errno::INVAL) } else { Ok(()) };
            assert_eq!(set(IPPROTO_IP, IP_TTL, short), expected);
            assert_eq!(set(IPPROTO_IP, IP_TOS, short), Ok(()));
            assert_eq!(set(IPPROTO_IP, 4000, short), Err(Errno::NOPROTOOPT));
        }
        assert_eq!(set(SOL_SOCKET, SO_LINGER, &[1, 0, 0, 0]), Err(Errno::INVAL));
        assert_eq!(set(SOL_SOCKET, SO_RCVTIMEO, &[0; 15]), Err(Errno::INVAL));
        let long = [[1, 0, 0, 0].as_slice(), &[0; 60]].concat();
        for (level, name) in [(SOL_SOCKET, SO_REUSEADDR), (SOL_SOCKET, SO_LINGER), (IPPROTO_IP, IP_TTL)] {
            assert_eq!(set(level, name, &long), Ok(()));
        }
        for (level, name, lengths) in [
            (SOL_SOCKET, SO_TYPE, [0, 1, 2, 3, 4, 4, 4]),
            (SOL_SOCKET, SO_LINGER, [0, 1, 2, 3, 4, 8, 8]),
            (SOL_SOCKET, SO_RCVTIMEO, [0, 1, 2, 3, 4, 8, 16]),
            (SOL_SOCKET, SO_PEERCRED, [0, 1, 2, 3, 4, 8, 12]),
            (SOL_SOCKET, SO_MAX_PACING_RATE, [0, 1, 2, 3, 4, 8, 8]),
            (SOL_SOCKET, SO_BINDTODEVICE, [0; 7]),
            (IPPROTO_IP, IP_TTL, [0, 1, 1, 1, 4, 4, 4]),
        ] {
            let found = [0, 1, 2, 3, 4, 8, 64].map(|room| get(&sys, fd, level, name, room).unwrap().len());
            assert_eq!(found, lengths, "{kind:?} {level} {name}");
        }
        assert_eq!(get(&sys, fd, SOL_SOCKET, SO_MEMINFO, 64).unwrap().len(), 9 * 4);
        assert_eq!(get(&sys, fd, SOL_SOCKET, SO_COOKIE, 7), Err(Errno::INVAL));
        assert_ne!(get(&sys, fd, SOL_SOCKET, SO_COOKIE, 64).unwrap(), [0; 8]);
        // A TTL that does not fit an octet would take an `int`: -1 as the offset to peek from is never one.
        assert_eq!(get(&sys, fd, SOL_SOCKET, SO_PEEK_OFF, 2), Ok(vec![0xff; 2]));
        sys.close(fd).unwrap();
    }
}

#[test]
fn levels() {
    let (sys, _other) = alone();
    for (kind, level, set, get_error) in [
        (TCP, 99, Errno::NOPROTOOPT, Errno::OPNOTSUPP),
        (TCP6, 99, Errno::NOPROTOOPT, Errno::NOPROTOOPT),
        (TCP, IPPROTO_IPV6, Errno::NOPROTOOPT, Errno::OPNOTSUPP),
        (TCP, IPPROTO_UDP, Errno::NOPROTOOPT, Errno::OPNOTSUPP),
        (TCP6, IPPROTO_UDP, Errno::NOPROTOOPT, Errno::NOPROTOOPT),
        (UDP, IPPROTO_TCP, Errno::NOPROTOOPT, Errno::OPNOTSUPP),
        (UDP6, IPPROTO_TCP, Errno::NOPROTOOPT, Errno::NOPROTOOPT),
    ] {
        let fd = sys.socket(kind.0, kind.1, 0).unwrap();
        assert_eq!(sys.setsockopt(fd, level, 1, &[]), Err(set), "{kind:?} {level}");
        assert_eq!(sys.setsockopt_int(fd, level, 1, 1), Err(set), "{kind:?} {level}");
        assert_eq!(get(&sys, fd, level, 1, 4), Err(get_error), "{kind:?} {level}");
        sys.close(fd).unwrap();
    }
    assert_eq!(sys.setsockopt_int(-1, SOL_SOCKET, SO_DEBUG, 1), Err(Errno::BADF));
    assert_eq!(sys.getsockopt_int(0, SOL_SOCKET, SO_DEBUG), Err(Errno::NOTSOCK));
}

#[test]
fn what_is_read_of_fresh_sockets() {
    let (sys, _other) = alone();
    for (domain, kind) in KINDS {
        let fd = sys.socket(domain, kind, 0).unwrap();
        let read = |level, name| sys.getsockopt_int(fd, level, name).unwrap();
        let protocol = if kind == SOCK_STREAM { IPPROTO_TCP } else { IPPROTO_UDP };
        assert_eq!([SO_DOMAIN, SO_TYPE, SO_PROTOCOL].map(|n| read(SOL_SOCKET, n)), [domain, kind, protocol]);
        for (name, value) in [
            (SO_ERROR, 0),
            (SO_ACCEPTCONN, 0),
            (SO_OOBINLINE, 0),
            (SO_KEEPALIVE, 0),
            (SO_RCVLOWAT, 1),
            (SO_SNDLOWAT, 1),
            (SO_INCOMING_CPU, -1),
            (SO_PEEK_OFF, -1),
        ] {
            assert_eq!(read(SOL_SOCKET, name), value, "{name}");
        }
        for (name, value) in
            [(IP_TTL, 64), (IP_TOS, 0), (IP_MTU_DISCOVER, IP_PMTUDISC_WANT), (IP_MULTICAST_TTL, 1)]
        {
            assert_eq!(read(IPPROTO_IP, name), value, "{name}");
        }
        assert_eq!(sys.getsockopt_int(fd, IPPROTO_IP, IP_MTU), Err(Errno::NOTCONN));
        if kind == SOCK_DGRAM {
            assert_eq!([SO_SNDBUF, SO_RCVBUF].map(|n| read(SOL_SOCKET, n)), [212_992; 2]);
        }
        if domain == AF_INET6 {
            for (name, value) in
                [(IPV6_V6ONLY, 0), (IPV6_UNICAST_HOPS, 64), (IPV6_MULTICAST_HOPS, 1), (IPV6_TCLASS, 0)]
            {
                assert_eq!(read(IPPROTO_IPV6, name), value, "{name}");
            }
        }
        sys.close(fd).unwrap();
    }
    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    for (name, value) in [
        (TCP_NODELAY, 0),
        (TCP_MAXSEG, 536),
        (TCP_CORK, 0),
        (TCP_KEEPIDLE, 7200),
        (TCP_KEEPINTVL, 75),
        (TCP_KEEPCNT, 9),
        (TCP_LINGER2, 60),
        (TCP_QUICKACK, 1),
        (TCP_USER_TIMEOUT, 0),
        (TCP_UTO, 0),
        (TCP_UTO_ADVERTISED, 0),
        (TCP_UTO_CHANGEABLE, 1),
        (TCP_UTO_RECEIVED, 0),
        (TCP_NOTSENT_LOWAT, 0),
    ] {
        assert_eq!(sys.getsockopt_int(fd, IPPROTO_TCP, name), Ok(value), "{name}");
    }
    assert_eq!(get(&sys, fd, IPPROTO_TCP, TCP_CONGESTION, 64).unwrap(), b"cubic\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(get(&sys, fd, IPPROTO_TCP, TCP_CONGESTION, 3).unwrap(), b"cub");
    assert_eq!(get(&sys, fd, IPPROTO_TCP, TCP_ULP, 64).unwrap(), b"");
}

#[test]
fn values() {
    const OUT: Result<i32> = Err(Errno::INVAL);
    const NOT_THERE: Result<i32> = Err(Errno::NOPROTOOPT);
    let (sys, _other) = alone();
    let asked = [1, 0, -1, 2, 300, 70_000];
    let stream = [
        (SOL_SOCKET, SO_REUSEADDR, [1, 0, 1, 1, 1, 1].map(Ok)),
        (SOL_SOCKET, SO_SNDBUF, [4608, 4608, 8 << 20, 4608, 4608, 140_000].map(Ok)),
        (SOL_SOCKET, SO_RCVBUF, [2304, 2304, 8 << 20, 2304, 2304, 140_000].map(Ok)),
        (SOL_SOCKET, SO_BUF_LOCK, [Ok(1), Ok(0), OUT, Ok(2), OUT, OUT]),
        (SOL_SOCKET, SO_PRIORITY, asked.map(Ok)),
        (SOL_SOCKET, SO_MARK, asked.map(Ok)),
        (SOL_SOCKET, SO_BUSY_POLL, [Ok(1), Ok(0), OUT, Ok(2), Ok(300), Ok(70_000)]),
        (SOL_SOCKET, SO_INCOMING_CPU, asked.map(Ok)),
        (SOL_SOCKET, SO_TYPE, [NOT_THERE; 6]),
        (SOL_SOCKET, SO_ERROR, [NOT_THERE; 6]),
        (SOL_SOCKET, SO_ACCEPTCONN, [NOT_THERE; 6]),
        (SOL_SOCKET, SO_SNDLOWAT, [NOT_THERE; 6]),
        (SOL_SOCKET, SO_BSDCOMPAT, [Ok(0); 6]),
        (SOL_SOCKET, SO_PASSCRED, [Err(Errno::OPNOTSUPP); 6]),
        (SOL_SOCKET, SO_TXREHASH, [Ok(1), Ok(0), Ok(1), OUT, OUT, OUT]),
        // Its buffer is 64 KiB, to which -1 is cut.
        (SOL_SOCKET, SO_RCVLOWAT, [1, 1, 16 << 20, 2, 300, 70_000].map(Ok)),
        (IPPROTO_IP, IP_TOS, [0, 0, 0xfc, 0, 44, 112].map(Ok)),
        (IPPROTO_IP, IP_TTL, [Ok(1), OUT, Ok(64), Ok(2), OUT, OUT]),
        (IPPROTO_IP, IP_MULTICAST_TTL, [OUT; 6]),
        (IPPROTO_IP, IP_MTU, [NOT_THERE; 6]),
        (IPPROTO_TCP, TCP_NODELAY, [1, 0, 1, 1, 1, 1].map(Ok)),
        (IPPROTO_TCP, TCP_CORK, [1, 0, 1, 1, 1, 1].map(Ok)),
        (IPPROTO_TCP, TCP_MAXSEG, [OUT, Ok(536), OUT, OUT, Ok(300), OUT]),
        (IPPROTO_TCP, TCP_KEEPIDLE, [Ok(1), OUT, OUT, Ok(2), Ok(300), OUT]),
        (IPPROTO_TCP, TCP_KEEPINTVL, [Ok(1), OUT, OUT, Ok(2), Ok(300), OUT]),
        (IPPROTO_TCP, TCP_KEEPCNT, [Ok(1), OUT, OUT, Ok(2), OUT, OUT]),
        (IPPROTO_TCP, TCP_USER_TIMEOUT, [Ok(1), Ok(0), OUT, Ok(2), Ok(300), Ok(70_000)]),
        (IPPROTO_TCP, TCP_UTO, [1, 0, 1, 1, 1, 1].map(Ok)),
        (IPPROTO_TCP, TCP_UTO_ADVERTISED, [Ok(1), Ok(0), OUT, Ok(2), Ok(300), Ok(70_020)]),
        (IPPROTO_TCP, TCP_UTO_CHANGEABLE, [1, 0, 1, 1, 1, 1].map(Ok)),
        (IPPROTO_TCP, TCP_UTO_RECEIVED, [NOT_THERE; 6]),
        (IPPROTO_TCP, TCP_NOTSENT_LOWAT, asked.map(Ok)),
        (IPPROTO_TCP, TCP_SYNCNT, [Ok(1), OUT, OUT, Ok(2), OUT, OUT]),
        (IPPROTO_TCP, TCP_LINGER2, [1, 60, -1, 2, 120, 120].map(Ok)),
        (IPPROTO_TCP, TCP_WINDOW_CLAMP, [1152, 0, 1152, 1152, 1152, 70_000].map(Ok)),
        (IPPROTO_TCP, TCP_QUICKACK, [1, 0, 1, 1, 1, 1].map(Ok)),
        (IPPROTO_IP, IP_MTU_DISCOVER, [Ok(1), Ok(0), OUT, Ok(2), OUT, OUT]),
        // No control message of TCP depends on it.
        (IPPROTO_IP, IP_PKTINFO, [1, 0, 1, 1, 1, 1].map(Ok)),
        (IPPROTO_TCP, TCP_INFO, [NOT_THERE; 6]),
        (IPPROTO_TCP, TCP_THIN_DUPACK, [Ok(0), Ok(0), OUT, OUT, OUT, OUT]),
        (IPPROTO_TCP, TCP_TIMESTAMP, [Err(Errno::PERM); 6]),
    ];
    let datagram = [
        (SOL_SOCKET, SO_SNDBUF, [4608, 4608, 8 << 20, 4608, 4608, 140_000].map(Ok)),
        (SOL_SOCKET, SO_RCVBUF, [2304, 2304, 8 << 20, 2304, 2304, 140_000].map(Ok)),
        (SOL_SOCKET, SO_RCVLOWAT, [1, 1, i32::MAX, 2, 300, 70_000].map(Ok)),
        (SOL_SOCKET, SO_BROADCAST, [1, 0, 1, 1, 1, 1].map(Ok)),
        (SOL_SOCKET, SO_TXREHASH, [Err(Errno::OPNOTSUPP); 6]),
        (IPPROTO_IP, IP_TOS, [1, 0, 255, 2, 44, 112].map(Ok)),
        (IPPROTO_IP, IP_MTU_DISCOVER, [Ok(1), Ok(0), OUT, Ok(2), OUT, OUT]),
        (IPPROTO_IP, IP_MULTICAST_TTL, [Ok(1), Ok(0), Ok(1), Ok(2), OUT, OUT]),
    ];
    let v6 = [
        (IPPROTO_IPV6, IPV6_V6ONLY, [1, 0, 1, 1, 1, 1].map(Ok)),
        (IPPROTO_IPV6, IPV6_TCLASS, [Ok(1), Ok(0), Ok(0), Ok(2), OUT, OUT]),
        (IPPROTO_IPV6, IPV6_MTU_DISCOVER, [Ok(1), Ok(0), OUT, Ok(2), OUT, OUT]),
        (IPPROTO_IPV6, IPV6_MULTICAST_HOPS, [Ok(1), Ok(0), Ok(1), Ok(2), OUT, OUT]),
        (IPPROTO_IPV6, IPV6_DONTFRAG, [1, 0, 1, 1, 1, 1].map(Ok)),
        // Linux takes 0 as well.
        (IPPROTO_IPV6, IPV6_UNICAST_HOPS, [Ok(1), OUT, Ok(64), Ok(2), OUT, OUT]),
    ];
    let tables: [(&[_], &[_]); 3] = [(&stream, &[TCP, TCP6]), (&datagram, &[UDP, UDP6]), (&v6, &[UDP6])];
    for (rows, kinds) in tables {
        for (&(level, name, expected), &kind) in
            rows.iter().flat_map(|row| kinds.iter().map(move |k| (row, k)))
        {
            let found = asked.map(|value| set_get(&sys, kind, level, name, value));
            assert_eq!(found, expected, "{kind:?} {level} {name}");
        }
    }
}

#[test]
fn sizes_of_datagrams() {
    let (sys, _other) = alone();
    for (name, value, gives) in [
        (UDP_SEGMENT, 0, Ok(0)),
        (UDP_SEGMENT, 1200, Ok(1200)),
        (UDP_SEGMENT, 65_535, Ok(65_535)),
        (UDP_SEGMENT, 65_536, Err(Errno::INVAL)),
        (UDP_SEGMENT, -1, Err(Errno::INVAL)),
        (UDP_GRO, 0, Ok(0)),
        (UDP_GRO, -7, Ok(1)),
    ] {
        for kind in [UDP, UDP6] {
            assert_eq!(set_get(&sys, kind, IPPROTO_UDP, name, value), gives, "{name} {value}");
        }
        assert_eq!(set_get(&sys, TCP, IPPROTO_UDP, name, value), Err(Errno::NOPROTOOPT));
    }
}

/// What the stack cannot do is said to be off, may be switched off, and is not switched on.
#[test]
fn what_is_not_there() {
    let (sys, _other) = alone();
    for (kind, level, name, holds, asked) in [
        (UDP, SOL_SOCKET, SO_TIMESTAMP, 0, 1),
        (UDP, SOL_SOCKET, SO_RXQ_OVFL, 0, 1),
        (UDP, SOL_SOCKET, SO_NO_CHECK, 0, 1),
        (TCP, SOL_SOCKET, SO_ZEROCOPY, 0, 1),
        (TCP, SOL_SOCKET, SO_PEEK_OFF, -1, 0),
        (UDP, IPPROTO_IP, IP_PKTINFO, 0, 1),
        (UDP, IPPROTO_IP, IP_RECVERR, 0, 1),
        (TCP, IPPROTO_IP, IP_TRANSPARENT, 0, 1),
        (TCP, IPPROTO_IP, IP_MTU_DISCOVER, 1, IP_PMTUDISC_INTERFACE),
        (UDP6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, 1),
        (TCP, IPPROTO_TCP, TCP_SAVE_SYN, 0, 1),
        (UDP, IPPROTO_UDP, UDP_CORK, 0, 1),
    ] {
        assert_eq!(set_get(&sys, kind, level, name, holds), Ok(holds), "{level} {name}");
        assert_eq!(set_get(&sys, kind, level, name, asked), Err(Errno::NOPROTOOPT), "{level} {name}");
    }
    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    assert_eq!(sys.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, b"tun0\0"), Err(Errno::NODEV));
    assert_eq!(sys.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, b"\0"), Ok(()));
    assert_eq!(sys.setsockopt_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), Err(Errno::NOENT));
    for (name, expected) in [
        (&b""[..], Err(Errno::INVAL)),
        (b"reno", Ok(())),
        (b"reno\0junk", Ok(())),
        (b"renox", Err(Errno::NOENT)),
        (b"aaaaaaaaaaaaaaaaaaaa", Err(Errno::NOENT)),
    ] {
        assert_eq!(sys.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name), expected);
    }
    assert_eq!(get(&sys, fd, IPPROTO_TCP, TCP_CONGESTION, 5).unwrap(), b"reno\0");
}

/// Congestion control that a program brought along is found by its name, beside the stack's own.
#[test]
fn congestion_control_of_ones_own_has_a_name() {
    static MINE: Custom = Custom::new("mine", |_| unreachable!("no connection begins"));
    let (device, _other) = Pipe::pair(1500).unwrap();
    let mut config = Config::default();
    config.tcp.congestion_available.push(Algorithm::Custom(&MINE));
    let engine = Engine::builder().device(device).config(config).start().unwrap();
    let sys = Sockets::new(&engine);
    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    for name in [&b"mine"[..], b"reno", b"cubic"] {
        assert_eq!(sys.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name), Ok(()));
        assert!(get(&sys, fd, IPPROTO_TCP, TCP_CONGESTION, 16).unwrap().starts_with(name));
    }
    sys.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, b"mine").unwrap();
    assert_eq!(sys.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, b"theirs"), Err(Errno::NOENT));
    assert!(get(&sys, fd, IPPROTO_TCP, TCP_CONGESTION, 16).unwrap().starts_with(b"mine"));
}

fn timeval(seconds: i64, micros: i64) -> Vec<u8> {
    [seconds, micros].map(i64::to_ne_bytes).concat()
}

#[test]
fn timeouts_and_linger() {
    let (sys, _other) = alone();
    let fd = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    for (set, read) in
        [((1, 500_000), (1, 500_000)), ((0, 0), (0, 0)), ((1 << 62, 0), (0, 0)), ((-1, 5), (0, 0))]
    {
        for (name, new) in [(SO_RCVTIMEO, SO_RCVTIMEO_NEW), (SO_SNDTIMEO, SO_SNDTIMEO_NEW)] {
            sys.setsockopt(fd, SOL_SOCKET, name, &timeval(set.0, set.1)).unwrap();
            assert_eq!(get(&sys, fd, SOL_SOCKET, new, 16).unwrap(), timeval(read.0, read.1), "{set:?}");
        }
    }
    for micros in [-1, 1_000_000] {
        let value = timeval(0, micros);
        assert_eq!(sys.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value), Err(Errno::DOM));
    }
    // It is negative still, which is not to wait at all; and then as short as can be.
    assert_eq!(sys.recv(fd, &mut [0; 8], MsgFlags::empty()), Err(Errno::AGAIN));
    sys.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeval(0, 1)).unwrap();
    assert_eq!(sys.recv(fd, &mut [0; 8], MsgFlags::empty()), Err(Errno::AGAIN));

    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let linger = |on: i32, seconds: i32| [on, seconds].map(i32::to_ne_bytes).concat();
    for (set, read) in [((1, 9), (1, 9)), ((0, 3), (0, 9)), ((5, 0), (1, 0)), ((1, i32::MAX), (1, i32::MAX))]
    {
        sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger(set.0, set.1)).unwrap();
        assert_eq!(get(&sys, fd, SOL_SOCKET, SO_LINGER, 8).unwrap(), linger(read.0, read.1), "{set:?}");
    }
    sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger(0, 0)).unwrap();
}

/// `unsigned long`; all ones, in whichever length, are no limit.
#[test]
fn a_pacing_rate_has_two_lengths() {
    let (sys, _other) = alone();
    for (kind, kind_of) in KINDS {
        let fd = sys.socket(kind, kind_of, 0).unwrap();
        let set = |value: &[u8]| sys.setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, value);
        let read = |room| get(&sys, fd, SOL_SOCKET, SO_MAX_PACING_RATE, room).unwrap();
        assert_eq!((read(8), read(4)), (vec![0xff; 8], vec![0xff; 4]));
        set(&5_000_000_000u64.to_ne_bytes()).unwrap();
        assert_eq!((read(8), read(4)), (5_000_000_000u64.to_ne_bytes().to_vec(), vec![0xff; 4]));
        set(&125_000u32.to_ne_bytes()).unwrap();
        assert_eq!(
            (read(8), read(4)),
            (125_000u64.to_ne_bytes().to_vec(), 125_000u32.to_ne_bytes().to_vec())
        );
        set(&[0xff; 4]).unwrap();
        assert_eq!(read(8), [0xff; 8]);
        assert_eq!(set(&[0; 3]), Err(Errno::INVAL));
        sys.close(fd).unwrap();
    }
}

#[test]
fn v6_only_is_said_before_bind() {
    let (sys, _other) = alone();
    let fd = sys.socket(AF_INET6, SOCK_STREAM, 0).unwrap();
    sys.setsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1).unwrap();
    sys.bind(fd, &"[::1]:80".parse().unwrap()).unwrap();
    assert_eq!(sys.setsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0), Err(Errno::INVAL));
    assert_eq!(sys.getsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY), Ok(1));
    // It is so in any case at an address of IPv6 alone.
    for (address, only) in [("[::1]:81", 1), ("[::]:82", 0), ("[::ffff:127.0.0.1]:83", 0)] {
        let fd = sys.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
        sys.bind(fd, &address.parse().unwrap()).unwrap();
        assert_eq!(sys.getsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY), Ok(only), "{address}");
    }
}

/// The clamp bounds what a connection offers, of the first window on, which is of whole segments.
#[test]
fn the_clamp_is_offered() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys, |listener| {
        sys.setsockopt_int(listener, IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000).unwrap();
    });
    assert_eq!(sys.setsockopt_int(server, IPPROTO_TCP, TCP_WINDOW_CLAMP, 0), Err(Errno::INVAL));
    let offered = || {
        let info = get(&sys, client, IPPROTO_TCP, TCP_INFO, 300).unwrap();
        let at = std::mem::offset_of!(linux_raw_sys::net::tcp_info, tcpi_snd_wnd);
        u32::from_ne_bytes(info[at..at + 4].try_into().unwrap())
    };
    assert_eq!(offered(), 3 * 1448);
    // The window moves with what comes, while the buffer has room.
    assert_eq!(sys.send(client, &[0; 20_000], MsgFlags::empty()), Ok(20_000));
    assert!((1..=5000).contains(&offered()));
    sys.setsockopt_int(server, IPPROTO_TCP, TCP_WINDOW_CLAMP, 9000).unwrap();
    assert_eq!(sys.send(client, &[0; 20_000], MsgFlags::empty()), Ok(20_000));
    assert!((5001..=9000).contains(&offered()));
}

/// With little unsent wanted, no more than that is taken.
#[test]
fn unsent_data_stays_little() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys, |_| {});
    sys.setsockopt_int(client, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 8000).unwrap();
    sys.setsockopt_int(client, IPPROTO_TCP, TCP_CORK, 1).unwrap();
    sys.fcntl(client, F_SETFL, O_NONBLOCK).unwrap();
    let mut taken = 0;
    let full = loop {
        match sys.send(client, &[7; 50_000], MsgFlags::empty()) {
            Ok(n) if taken < 4 << 20 => taken += n,
            other => break other,
        }
    };
    assert_eq!(full, Err(Errno::AGAIN));
    let mut unsent = 0;
    sys.ioctl(client, SIOCOUTQNSD, &mut unsent).unwrap();
    // What is written is taken in runs of up to 64 KiB, the last of which begins below the mark.
    assert!((8000..8000 + (64 << 10)).contains(&unsent), "{unsent}");
    // The reader makes room in the window, what was unsent leaves, and there is room to write again.
    let mut read = 0;
    let mut octets = vec![0; 1 << 20];
    while read + 1448 < taken {
        read += sys.recv(server, &mut octets, MsgFlags::empty()).unwrap();
    }
    assert!(sys.send(client, b"more", MsgFlags::empty()).is_ok());
}

#[test]
fn a_connection_inherits_from_its_listener() {
    let (sys, _other) = alone();
    let inherited = [
        (SOL_SOCKET, SO_MARK, 5),
        (SOL_SOCKET, SO_BUSY_POLL, 7),
        (SOL_SOCKET, SO_DEBUG, 1),
        (SOL_SOCKET, SO_OOBINLINE, 1),
        (SOL_SOCKET, SO_RCVLOWAT, 7),
        (SOL_SOCKET, SO_REUSEADDR, 1),
        (IPPROTO_IP, IP_TOS, 0x20),
        (IPPROTO_IP, IP_TTL, 33),
        (IPPROTO_TCP, TCP_NODELAY, 1),
        (IPPROTO_TCP, TCP_USER_TIMEOUT, 1234),
        (IPPROTO_TCP, TCP_NOTSENT_LOWAT, 100),
    ];
    let (listener, _, server) = connection(&sys, |listener| {
        for (level, name, value) in inherited {
            sys.setsockopt_int(listener, level, name, value).unwrap();
        }
        sys.setsockopt_int(listener, SOL_SOCKET, SO_PRIORITY, 3).unwrap();
        sys.setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeval(5, 7)).unwrap();
    });
    for (level, name, value) in inherited {
        assert_eq!(sys.getsockopt_int(server, level, name), Ok(value), "{level} {name}");
    }
    assert_eq!(get(&sys, server, SOL_SOCKET, SO_RCVTIMEO, 16).unwrap(), timeval(5, 7));
    assert_eq!(sys.getsockopt_int(server, SOL_SOCKET, SO_PRIORITY), Ok(0));
    assert_eq!(
        [listener, server].map(|fd| sys.getsockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN)),
        [Ok(1), Ok(0)]
    );
    // The device's MTU, and what it leaves for text beside timestamps.
    assert_eq!(sys.getsockopt_int(server, IPPROTO_IP, IP_MTU), Ok(1500));
    assert_eq!(sys.getsockopt_int(server, IPPROTO_TCP, TCP_MAXSEG), Ok(1448));
}

#[test]
fn an_error_is_given_once() {
    let (sys, _other) = alone();
    let fd = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    sys.connect(fd, &"127.0.0.1:9".parse().unwrap()).unwrap();
    assert_eq!(sys.send(fd, b"anyone?", MsgFlags::empty()), Ok(7));
    let error = || sys.getsockopt_int(fd, SOL_SOCKET, SO_ERROR);
    assert_eq!(error(), Ok(Errno::CONNREFUSED.raw_os_error()));
    assert_eq!(error(), Ok(0));
}

#[test]
fn quick_acknowledgments_go_and_come() {
    let (sys, _other) = alone();
    let (_, client, _) = connection(&sys, |_| {});
    for on in [0, 1, 0] {
        sys.setsockopt_int(client, IPPROTO_TCP, TCP_QUICKACK, on).unwrap();
        assert_eq!(sys.getsockopt_int(client, IPPROTO_TCP, TCP_QUICKACK), Ok(on));
    }
}

/// A datagram larger than the path takes is cut, or refused where that is asked for.
#[test]
fn datagrams_larger_than_the_path() {
    let (sys, _other) = alone();
    let to = "127.0.0.1:53".parse().unwrap();
    let fd = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    for (mode, expected) in [
        (IP_PMTUDISC_WANT, Ok(2000)),
        (IP_PMTUDISC_DONT, Ok(2000)),
        (IP_PMTUDISC_DO, Err(Errno::MSGSIZE)),
        (IP_PMTUDISC_PROBE, Err(Errno::MSGSIZE)),
    ] {
        sys.setsockopt_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, mode).unwrap();
        assert_eq!(sys.sendto(fd, &[0; 2000], MsgFlags::empty(), Some(&to)), expected, "{mode}");
        assert_eq!(sys.sendto(fd, &[0; 1472], MsgFlags::empty(), Some(&to)), Ok(1472));
        if expected.is_err() {
            let one_more = sys.sendto(fd, &[0; 1473], MsgFlags::empty(), Some(&to));
            assert_eq!(one_more, Err(Errno::MSGSIZE));
        }
    }
}

use super::*;

#[test]
fn names_stand_once() {
    let mut names: Vec<&str> = all().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert_eq!(twice, Vec::<&[&str]>::new());
}

#[test]
fn values_are_those_of_linux() {
    let known = [
        ("AF_INET6", 10),
        ("SOL_TCP", 6),
        ("SO_ZEROCOPY", 60),
        ("TCP_FASTOPEN_KEY", 33),
        ("IPV6_TCLASS", 67),
        ("MSG_ZEROCOPY", 0x400_0000),
        ("O_RDWR", 2),
        ("SIOCINQ", 0x541b),
        ("EPOLLET", 0x8000_0000),
        ("POLLRDHUP", 0x2000),
        ("TCP_CLOSE_WAIT", 8),
        ("TCPF_LISTEN", 0x400),
        ("TCP_CA_Recovery", 3),
        ("SCM_TIMESTAMPING", 37),
        ("ECONNRESET", 104),
        ("NULL", 0),
    ];
    for (name, number) in known {
        assert_eq!(value(name), Ok(number), "{name}");
    }
}

#[test]
fn an_unknown_name_gets_the_nearest_known_one() {
    let meant = |name: &str| value(name).unwrap_err();
    assert_eq!(meant("TCP_NODELAI"), "unknown name `TCP_NODELAI`: is `TCP_NODELAY` meant?");
    assert_eq!(meant("msg_peek"), "unknown name `msg_peek`: is `MSG_PEEK` meant?");
    assert_eq!(meant("quite_something_else"), "unknown name `quite_something_else`");
    let long = "E".repeat(1 << 20);
    assert_eq!(meant(&long), format!("unknown name `{long}`"));
    assert_eq!(errno("ECONRESET").unwrap_err(), "unknown error `ECONRESET`: is `ECONNRESET` meant?");
    // A name, and of no error.
    assert!(errno("SO_ERROR").is_err());
}

#[test]
fn errors_have_names_both_ways() {
    assert_eq!(errno("EWOULDBLOCK"), Ok(11));
    assert_eq!(errno_name(11), Some("EAGAIN"));
    assert_eq!(errno_name(95), Some("EOPNOTSUPP"));
    assert_eq!(errno_name(4000), None);
    for (name, number) in errors::NUMBERS {
        let number = i32::try_from(*number).unwrap();
        assert_eq!(errno(name), Ok(number));
        assert_eq!(errno(errno_name(number).unwrap()), Ok(number));
    }
}

#[test]
fn flags_are_shown_by_name() {
    assert_eq!(flags("POLL", 5), "POLLIN|POLLOUT");
    assert_eq!(flags("EPOLL", 0x8000_0019), "EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLET");
    assert_eq!(flags("POLL", 0x4_0000), "0x40000");
    assert_eq!(flags("MSG_", 0), "0");
}

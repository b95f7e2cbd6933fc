use std::io::Write;
use std::os::fd::AsRawFd;

use super::super::abi::*;
use super::super::{Errno, Result, Sockets};
use crate::bsd::testing::{alone, connection};

const NONE: MsgFlags = MsgFlags::empty();

#[test]
fn flags() {
    let (sys, _other) = alone();
    let fd = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0).unwrap();
    assert_eq!(sys.fcntl(fd, F_GETFL, 0), Ok(O_RDWR | O_NONBLOCK));
    assert_eq!(sys.fcntl(fd, F_SETFL, 0), Ok(0));
    assert_eq!(sys.fcntl(fd, F_GETFL, 0), Ok(O_RDWR));
    // What cannot be changed is passed over.
    assert_eq!(sys.fcntl(fd, F_SETFL, O_NONBLOCK | libc::O_CREAT | libc::O_WRONLY), Ok(0));
    assert_eq!(sys.fcntl(fd, F_GETFL, 0), Ok(O_RDWR | O_NONBLOCK));
    let mut value = 0;
    assert_eq!(sys.ioctl(fd, FIONBIO, &mut value), Ok(()));
    assert_eq!(sys.fcntl(fd, F_GETFL, 0), Ok(O_RDWR));

    assert_eq!(sys.fcntl(fd, F_GETFD, 0), Ok(FD_CLOEXEC));
    assert_eq!(sys.fcntl(fd, F_SETFD, 0), Ok(0));
    assert_eq!(sys.fcntl(fd, F_GETFD, 0), Ok(0));
    assert_eq!(sys.ioctl(fd, FIOCLEX, &mut value), Ok(()));
    assert_eq!(sys.fcntl(fd, F_GETFD, 0), Ok(FD_CLOEXEC));
    assert_eq!(sys.fcntl(fd, 99, 0), Err(Errno::INVAL));
    assert_eq!(sys.fcntl(-1, F_GETFL, 0), Err(Errno::BADF));
}

/// The mode is the open socket's, shared by its numbers; `FD_CLOEXEC` is each number's own.
#[test]
fn numbers() {
    let (sys, _other) = alone();
    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let copy = sys.fcntl(fd, F_DUPFD_CLOEXEC, 300).unwrap();
    assert!(copy >= 300);
    sys.fcntl(copy, F_SETFL, O_NONBLOCK).unwrap();
    assert_eq!(sys.fcntl(fd, F_GETFL, 0), Ok(O_RDWR | O_NONBLOCK));
    assert_eq!([fd, copy].map(|fd| sys.fcntl(fd, F_GETFD, 0)), [Ok(0), Ok(FD_CLOEXEC)]);
    assert_eq!([-1, 1 << 30].map(|least| sys.fcntl(fd, F_DUPFD, least)), [Err(Errno::INVAL); 2]);

    sys.setsockopt_int(fd, SOL_SOCKET, SO_MARK, 77).unwrap();
    let other = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    assert_eq!(sys.dup2(fd, other), Ok(other));
    assert_eq!(sys.getsockopt_int(other, SOL_SOCKET, SO_MARK), Ok(77));
    assert_eq!(sys.dup3(fd, copy, 0), Ok(copy));
    assert_eq!(sys.fcntl(copy, F_GETFD, 0), Ok(0));
    assert_eq!(sys.dup3(fd, copy, O_CLOEXEC), Ok(copy));
    assert_eq!(sys.fcntl(copy, F_GETFD, 0), Ok(FD_CLOEXEC));

    assert_eq!(sys.dup2(fd, fd), Ok(fd));
    assert_eq!(sys.dup3(fd, fd, 0), Err(Errno::INVAL));
    assert_eq!(sys.dup3(fd, copy, 1), Err(Errno::INVAL));
    assert_eq!([-1, 1 << 30].map(|to| sys.dup2(fd, to)), [Err(Errno::BADF); 2]);
    assert_eq!(sys.dup2(1 << 30, fd), Err(Errno::BADF));
    for number in [fd, copy, other] {
        assert_eq!(sys.getsockopt_int(number, SOL_SOCKET, SO_TYPE), Ok(SOCK_STREAM));
        sys.close(number).unwrap();
        assert_eq!(sys.close(number), Err(Errno::BADF));
    }
}

/// A number of the kernel's becomes one of ours, and what it was is closed.
#[test]
fn a_number_of_the_kernels_is_taken() {
    let (sys, _other) = alone();
    let (reader, writer) = std::io::pipe().unwrap();
    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let to = std::os::fd::IntoRawFd::into_raw_fd(writer);
    assert_eq!(sys.fcntl(to, F_GETFL, 0), Err(Errno::NOTSOCK));
    assert_eq!(sys.dup2(fd, to), Ok(to));
    assert_eq!(sys.getsockopt_int(to, SOL_SOCKET, SO_TYPE), Ok(SOCK_STREAM));
    // The pipe has no writer any more.
    assert_eq!(std::io::read_to_string(reader).unwrap(), "");
    sys.close(to).unwrap();
}

/// With its last number a socket ends, also where another takes that number.
#[test]
fn a_socket_ends_with_the_number_it_loses() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys, |_| {});
    let other = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    assert_eq!(sys.dup2(other, server), Ok(server));
    assert_eq!(sys.recv(client, &mut [0; 8], NONE), Ok(0));
    assert_eq!(sys.getsockopt_int(server, SOL_SOCKET, SO_TYPE), Ok(SOCK_DGRAM));
}

fn ask(sys: &Sockets, fd: i32, request: libc::Ioctl) -> Result<i32> {
    let mut value = -7;
    sys.ioctl(fd, request, &mut value).map(|()| value)
}

#[test]
fn queues() {
    let (sys, _other) = alone();
    let (listener, client, server) = connection(&sys, |_| {});
    let fresh = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let udp = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    for (request, expected) in [
        (FIONREAD, [Err(Errno::INVAL), Ok(0), Ok(0), Ok(0)]),
        (SIOCOUTQ, [Err(Errno::INVAL), Ok(0), Ok(0), Ok(0)]),
        (SIOCOUTQNSD, [Err(Errno::INVAL), Ok(0), Ok(0), Err(Errno::NOTTY)]),
        (SIOCATMARK, [Ok(0), Ok(0), Ok(0), Err(Errno::NOTTY)]),
        (0x5401, [Err(Errno::NOTTY); 4]),
        (0x1234, [Err(Errno::NOTTY); 4]),
    ] {
        assert_eq!([listener, client, fresh, udp].map(|fd| ask(&sys, fd, request)), expected, "{request:#x}");
    }

    assert_eq!(sys.send(client, b"hello", NONE), Ok(5));
    assert_eq!(ask(&sys, server, SIOCINQ), Ok(5));
    assert_eq!(ask(&sys, client, TIOCOUTQ), Ok(0), "it is acknowledged by now");
    assert_eq!(sys.recv(server, &mut [0; 2], NONE), Ok(2));
    assert_eq!(ask(&sys, server, FIONREAD), Ok(3));
    // Corked it stays here.
    sys.setsockopt_int(client, IPPROTO_TCP, TCP_CORK, 1).unwrap();
    assert_eq!(sys.send(client, b"corked", NONE), Ok(6));
    assert_eq!([SIOCOUTQ, SIOCOUTQNSD].map(|request| ask(&sys, client, request)), [Ok(6); 2]);
    sys.shutdown(client, SHUT_WR).unwrap();
    assert_eq!(ask(&sys, client, SIOCOUTQNSD), Ok(0));

    sys.bind(udp, &"127.0.0.1:53".parse().unwrap()).unwrap();
    sys.connect(udp, &"127.0.0.1:53".parse().unwrap()).unwrap();
    for datagram in [&b"seven.."[..], b"two"] {
        sys.send(udp, datagram, NONE).unwrap();
    }
    assert_eq!(ask(&sys, udp, FIONREAD), Ok(7));
    assert_eq!(sys.recv(udp, &mut [0; 1], NONE), Ok(1));
    assert_eq!(ask(&sys, udp, FIONREAD), Ok(3));
}

#[test]
fn the_mark() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys, |_| {});
    assert_eq!(sys.send(client, b"abc!", MsgFlags::OOB), Ok(4));
    assert_eq!([SIOCATMARK, FIONREAD].map(|request| ask(&sys, server, request)), [Ok(0), Ok(3)]);
    assert_eq!(sys.recv(server, &mut [0; 8], NONE), Ok(3));
    assert_eq!(ask(&sys, server, SIOCATMARK), Ok(1));
    assert_eq!(sys.recv(server, &mut [0; 8], MsgFlags::OOB), Ok(1));
}

/// Urgent: the number is a descriptor of the kernel's own, not one of ours.
#[test]
fn other_descriptors_are_not_sockets() {
    let (sys, _other) = alone();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"x").unwrap();
    assert_eq!(ask(&sys, writer.as_raw_fd(), FIONREAD), Err(Errno::NOTSOCK));
    assert_eq!(sys.dup2(writer.as_raw_fd(), writer.as_raw_fd()), Err(Errno::NOTSOCK));
}

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::*;
use crate::bsd::Sockets;
use crate::device::outbox::Outbox;
use crate::engine::{Engine, Stepper};
use crate::packetdrill::net::IpVersion;
use crate::packetdrill::parser::parse;
use crate::packetdrill::script::Action;

/// A script's calls, over loopback: what is bound with `...` is what `...` connects to.
struct World {
    sockets: Sockets,
    stepper: Stepper,
    calls: Calls,
}

fn calls_of(text: &str) -> Vec<Syscall> {
    let script = parse(text, &[]).unwrap();
    let call = |action| match action {
        Action::Syscall(call) => *call,
        other => panic!("{other:?}"),
    };
    script.events.into_iter().map(|event| call(event.action)).collect()
}

impl World {
    fn of(version: IpVersion) -> Self {
        let mut net = Net::new(version);
        let here = if version == IpVersion::V6 { "::1" } else { "127.0.0.1" };
        assert_eq!(net.apply("local_ip", Some(here)), Ok(true));
        assert_eq!(net.apply("remote_ip", Some(here)), Ok(true));
        let device = Outbox::new(1500).unwrap();
        let (engine, stepper) = Engine::builder().device(device).seed([7; 32]).start_stepped().unwrap();
        Self { sockets: Sockets::new(&engine), stepper, calls: Calls::new(&net) }
    }

    fn new() -> Self {
        Self::of(IpVersion::V4)
    }

    fn call(&mut self, call: &Syscall) -> Result<Vec<Effect>> {
        let prepared = self.calls.prepare(call)?;
        let mut effects = prepared.before().to_vec();
        let done = prepared.run(&self.sockets);
        self.stepper.settle();
        effects.extend(self.calls.check(call, done)?);
        Ok(effects)
    }

    /// Each line is a call, which is to be as it says.
    #[track_caller]
    fn runs(&mut self, text: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for line in text.lines() {
            for call in calls_of(&format!("+0 {line}")) {
                effects.extend(self.call(&call).unwrap_or_else(|error| panic!("{line}: {error}")));
            }
        }
        effects
    }

    /// What is said of this call, and of which part of it.
    #[track_caller]
    fn fails(&mut self, line: &str) -> (String, String) {
        let text = format!("+0 {line}");
        match self.call(&calls_of(&text)[0]) {
            Err(CallError::Failure(failure)) => (failure.what, text[failure.span.range()].to_owned()),
            other => panic!("{line}: {other:?}"),
        }
    }

    /// What is missing for this call.
    #[track_caller]
    fn lacks(&mut self, line: &str) -> String {
        match self.call(&calls_of(&format!("+0 {line}"))[0]) {
            Err(CallError::Unsupported(what)) => what,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// A connection of TCP: 4 and 5 are its ends, 3 listens.
    fn connected() -> Self {
        let mut world = Self::new();
        world.runs(CONNECT);
        world
    }
}

const CONNECT: &str = "\
socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
bind(3, ..., ...) = 0
listen(3, 1) = 0
accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)
socket(..., SOCK_STREAM|SOCK_NONBLOCK, 0) = 4
connect(4, ..., ...) = -1 EINPROGRESS (Operation now in progress)
accept4(3, ..., ..., SOCK_NONBLOCK) = 5";

fn failure(what: &str, part: &str) -> (String, String) {
    (what.to_owned(), part.to_owned())
}

#[test]
fn the_life_of_a_socket_is_told() {
    for (version, domain) in
        [(IpVersion::V4, AF_INET), (IpVersion::V4Mapped, AF_INET6), (IpVersion::V6, AF_INET6)]
    {
        let mut world = World::of(version);
        let effects = world.runs(CONNECT);
        let here = if version == IpVersion::V6 { "[::1]:8080" } else { "127.0.0.1:8080" };
        let here: SocketAddr = here.parse().unwrap();
        let [opened, bound, listening, second, connecting, Effect::Accepted { fd: 5, peer }] = &effects[..]
        else {
            panic!("{effects:?}")
        };
        let kind = libc::SOCK_STREAM;
        assert_eq!(*opened, Effect::Opened { fd: 3, domain, kind, protocol: libc::IPPROTO_TCP });
        assert_eq!(*bound, Effect::Bound { fd: 3, to: here });
        assert_eq!(*listening, Effect::Listening { fd: 3 });
        assert_eq!(*second, Effect::Opened { fd: 4, domain, kind, protocol: 0 });
        assert_eq!(*connecting, Effect::Connecting { fd: 4, to: None });
        assert_eq!((peer.ip(), peer.port() >= 1024), (here.ip(), true));
        assert_eq!(world.runs("shutdown(4, SHUT_WR) = 0\nclose(4) = 0"), [Effect::Closed { fd: 4 }]);
        assert_eq!(world.runs("connect(5, AF_UNSPEC, ...) = 0"), [Effect::Disconnected { fd: 5 }]);
    }
}

#[test]
fn addresses_are_written_as_structures() {
    let mut world = World::connected();
    world.runs(
        "\
getpeername(4, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"127.0.0.1\")}, ...) = 0
getsockname(5, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(...)}, ...) = 0
getsockname(4, {sa_family=AF_INET, sin_port=htons(...), sin_addr=inet_addr(\"127.0.0.1\")}, ...) = 0
socket(..., SOCK_DGRAM, 0) = 6
bind(6, {sa_family=AF_INET, sin_port=htons(99), sin_addr=inet_addr(\"127.0.0.9\")}, ...) = 0",
    );
    let line =
        "connect(6, {sa_family=AF_INET, sin_port=htons(5), sin_addr=inet_addr(\"127.0.0.8\")}, ...) = 0";
    let to = Some("127.0.0.8:5".parse().unwrap());
    assert_eq!(world.runs(line), [Effect::Connecting { fd: 6, to }]);
    let wrong = "{sa_family=AF_INET, sin_port=htons(81), sin_addr=inet_addr(\"127.0.0.1\")}";
    assert_eq!(
        world.fails(&format!("getpeername(4, {wrong}, ...) = 0")),
        failure("getpeername address: expected 127.0.0.1 port 81, got 127.0.0.1 port 8080", wrong)
    );
}

#[test]
fn results_are_compared() {
    let mut world = World::connected();
    world.runs(
        "write(4, ..., 100) = 100\nread(5, ..., 40) = 40\nread(5, ..., 20) = 0x14\nread(5, ..., 9) = ...",
    );
    assert_eq!(
        world.fails("read(5, ..., 5) = -1 EAGAIN (nothing)"),
        failure("read: expected -1 EAGAIN, got 5", "-1")
    );
    assert_eq!(world.fails("read(5, ..., 1000) = 9"), failure("read: expected 9, got 26", "9"));
    assert_eq!(world.fails("read(5, ..., 10) = 9"), failure("read: expected 9, got -1 EAGAIN", "9"));
    assert_eq!(
        world.fails("read(5, ..., 10) = -1 EPIPE"),
        failure("read: expected -1 EPIPE, got -1 EAGAIN", "-1")
    );
    assert_eq!(world.fails("accept(3, ..., ...) = 6"), failure("accept: expected 6, got -1 EAGAIN", "6"));
    // Any error.
    world.runs("read(5, ..., 10) = -1");
    let (what, _) = world.fails("read(5, ..., 10) = -1 EAGIAN");
    assert_eq!(what, "unknown error `EAGIAN`: is `EAGAIN` meant?");
    assert_eq!(world.fails("read(5, ..., 10) = 3 EAGAIN").1, "3");
}

#[test]
fn a_failure_has_both_sides() {
    let mut world = World::connected();
    let Err(CallError::Failure(failure)) = world.call(&calls_of("+0 write(4, ..., 100) = 99")[0]) else {
        panic!("it is not as the script says")
    };
    assert_eq!((failure.expected.as_deref(), failure.actual.as_deref()), (Some("99"), Some("100")));
    assert_eq!(failure.differences, [("result".to_owned(), "99".to_owned(), "100".to_owned())]);
}

#[test]
fn what_would_wait_says_so() {
    let mut world = World::connected();
    world.runs("fcntl(5, F_SETFL, O_RDWR) = 0");
    let (what, _) = world.fails("read(5, ..., 10) = 10");
    let why = "(it would have to wait, which it may with an end: `+0...0.1`)";
    assert_eq!(what, format!("read: expected 10, got -1 EDEADLK {why}"));
}

#[test]
fn a_call_waits_on_another_thread() {
    let mut world = World::connected();
    world.runs("fcntl(5, F_SETFL, O_RDWR) = 0");
    let call = calls_of("+0...0.1 read(5, ..., 10) = 7").remove(0);
    let prepared = world.calls.prepare(&call).unwrap();
    let (sockets, calls) = (world.sockets.clone(), world.stepper.calls());
    let (give, done) = channel();
    calls.begin();
    let thread = thread::spawn(move || {
        give.send(prepared.run(&sockets)).unwrap();
        calls.end();
    });
    world.stepper.settle();
    world.stepper.step(world.stepper.now() + Duration::from_millis(100));
    assert!(done.try_recv().is_err(), "it waits");
    world.runs("write(4, ..., 7) = 7");
    thread.join().unwrap();
    assert_eq!(world.calls.check(&call, done.recv().unwrap()), Ok(Vec::new()));
}

#[test]
fn arguments_are_refused_where_they_stand() {
    let mut world = World::connected();
    let mut fails = |line: &str, what: &str, part: &str| assert_eq!(world.fails(line), failure(what, part));
    fails("lisen(3, 1) = 0", "unknown system call `lisen`: is `listen` meant?", "lisen(3, 1) = 0");
    fails("listen(3) = 0", "listen takes 2 arguments, not 1", "listen(3) = 0");
    fails("fcntl(3) = 0", "fcntl takes 2 or 3 arguments, not 1", "fcntl(3) = 0");
    fails("listen(9, 1) = 0", "the script has no descriptor 9 open", "9");
    fails("listen(3, ...) = 0", "expected a number, found `...`", "...");
    fails("listen(3, 0x100000000) = 0", "expected a number of 32 bits, found `4294967296`", "0x100000000");
    fails("shutdown(3, SHUT_RW) = 0", "unknown name `SHUT_RW`: is `SHUT_RD` meant?", "SHUT_RW");
    fails(
        "bind(3, 5, ...) = 0",
        "expected `...` or an address: `{sa_family=, sin_port=, sin_addr=}`, found `5`",
        "5",
    );
    fails("read(3, 5, 10) = 0", "expected `...` or `NULL` for a buffer, found `5`", "5");
    fails("read(3, ..., -1) = 0", "expected a number of octets from 0 to 67108864, found `-1`", "-1");
    fails("writev(4, [{..., 5}, {..., 6}], 3) = 11", "expected 2, the number of buffers, found `3`", "3");
    fails("writev(4, [{5, 5}], 1) = 5", "expected `{..., size}`, found `{5, 5}`", "{5, 5}");
    fails("socket(..., SOCK_STREAM, 0) = 3", "socket: the script has that descriptor open already", "3");
    fails(
        "poll([{fd=4, event=POLLIN}], 1, 0) = 0",
        "expected one of the fields fd, events, revents, found `event`",
        "POLLIN",
    );
    fails("socket(..., SOCK_STREAM, 0) = -1", "socket: expected -1, got a new descriptor", "-1");
}

#[test]
fn buffers_and_flags() {
    let mut world = World::connected();
    world.runs(
        "\
writev(4, [{..., 100}, {..., 50}], 2) = 150
ioctl(5, SIOCINQ, [150]) = 0
recv(5, ..., 30, MSG_PEEK|MSG_DONTWAIT) = 30
readv(5, [{..., 30}, {..., 20}], 2) = 50
recvfrom(5, ..., 50, 0, ..., ...) = 50
recvfrom(5, ..., 0, 0, NULL, NULL) = 0
read(5, NULL, 5) = -1 EFAULT (Bad address)
send(4, ..., 5, MSG_NOSIGNAL) = 5
sendto(4, ..., 5, 0, NULL, 0) = 5
sendto(4, ..., 5, 0, ..., ...) = 5
sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 3}, {..., 2}], msg_flags=0}, 0) = 5
recvmsg(5, {msg_name(...)=..., msg_iov(1)=[{..., 100}], msg_flags=0}, 0) = 70
write(4, ..., 0) = 0",
    );
    let (what, part) = world.fails("ioctl(5, SIOCINQ, [1]) = 0");
    assert_eq!((&*what, &*part), ("ioctl value: expected 1, got 0", "[1]"));
    let to = Effect::Connecting { fd: 4, to: None };
    assert_eq!(world.runs("sendto(4, ..., 5, 0, ..., ...) = 5"), [to]);
}

#[test]
fn messages_are_compared() {
    let mut world = World::new();
    world.runs(
        "\
socket(..., SOCK_DGRAM|SOCK_NONBLOCK, 0) = 3
bind(3, ..., ...) = 0
socket(..., SOCK_DGRAM, 0) = 4
sendto(4, ..., 100, 0, ..., ...) = 100
recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=MSG_TRUNC}, 0) = 10
sendto(4, ..., 100, 0, ..., ...) = 100
recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=...}, MSG_TRUNC) = 100
sendto(4, ..., 100, 0, ..., ...) = 100
recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 100}], msg_flags=0}, 0) = ...",
    );
    world.runs("sendto(4, ..., 100, 0, ..., ...) = 100");
    let line = "recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0}, 0) = ...";
    assert_eq!(world.fails(line), failure("recvmsg msg_flags: expected 0, got MSG_TRUNC", "0"));
}

#[test]
fn what_differs_in_a_message() {
    let mut world = World::connected();
    world.runs("write(4, ..., 100) = 100");
    let line = "recvmsg(5, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=MSG_OOB}, 0) = 10";
    assert_eq!(world.fails(line), failure("recvmsg msg_flags: expected MSG_OOB, got 0", "MSG_OOB"));
    let control = "{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9}";
    let message = |control: &str| {
        format!("{{msg_name(...)=..., msg_iov(1)=[{{..., 10}}], msg_flags=0, msg_control=[{control}]}}")
    };
    let line = format!("recvmsg(5, {}, 0) = 10", message(control));
    let (what, part) = world.fails(&line);
    let shown = "{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9}";
    assert_eq!((what, &*part), (format!("recvmsg control message: expected {shown}, got none"), control));
    world.runs("setsockopt(5, SOL_TCP, TCP_INQ, [1], 4) = 0");
    let came = "{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=70}";
    world.runs(&format!("recvmsg(5, {}, 0) = 10", message(came)));
    let (what, part) = world.fails(&format!("recvmsg(5, {}, 0) = 10", message(came)));
    let sixty = came.replace("70", "60");
    assert_eq!((what, &*part), (format!("recvmsg control message: expected {came}, got {sixty}"), came));
    let (what, _) = world.fails(&format!("recvmsg(5, {}, 0) = 10", message("")));
    let fifty = came.replace("70", "50");
    assert_eq!(what, format!("recvmsg control message: expected none, got {fifty}"));
    let (what, _) =
        world.fails(&format!("recvmsg(5, {}, 0) = 10", message(&control.replace("9", "{ee_info=9}"))));
    assert!(what.ends_with("cmsg_data=40}"), "{what}");
    world.runs("setsockopt(5, SOL_TCP, TCP_INQ, [0], 4) = 0");
    let unknown = "{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_IN, cmsg_data=9}";
    let (what, part) = world.fails(&format!("recvmsg(5, {}, 0) = 10", message(unknown)));
    assert_eq!((&*what, &*part), ("unknown name `TCP_CM_IN`: is `TCP_CM_INQ` meant?", "TCP_CM_IN"));
    let data = "{cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=ENOMSG, ee_info=SCM_TSTAMP}}";
    let (what, _) = world.fails(&format!("recvmsg(5, {}, 0) = 10", message(data)));
    assert!(what.starts_with("unknown name `SCM_TSTAMP`"), "{what}");
    let line = format!("sendmsg(4, {}, 0) = 10", message(control));
    assert_eq!(world.lacks(&line), "sendmsg() of control messages");
}

#[test]
fn values_of_options_in_every_form() {
    let mut world = World::connected();
    world.runs(
        "\
setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0
setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=7}, 8) = 0
getsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=7}, [8]) = 0
getsockopt(4, SOL_SOCKET, SO_LINGER, [1, 7], [8]) = 0
setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=2, tv_usec=500000}, 16) = 0
getsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_usec=500000}, [16]) = 0
setsockopt(4, SOL_TCP, TCP_CONGESTION, \"reno\", 4) = 0
getsockopt(4, SOL_TCP, TCP_CONGESTION, \"reno\", [16]) = 0
getsockopt(4, SOL_TCP, TCP_CONGESTION, ..., ...) = 0
getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
getsockopt(4, SOL_IP, IP_TOS, [...], [1]) = 0
setsockopt(4, SOL_TCP, TCP_NOTSENT_LOWAT, [0xffffffff], 4) = 0
getsockopt(4, SOL_TCP, TCP_NOTSENT_LOWAT, [0xffffffff], [4]) = 0
setsockopt(4, SOL_TCP, TCP_NODELAY, NULL, 4) = -1 EFAULT
getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_state=TCP_ESTABLISHED, tcpi_unacked=0}, ...) = 0",
    );
    let mut fails = |line: &str, what: &str, part: &str| assert_eq!(world.fails(line), failure(what, part));
    fails("getsockopt(4, SOL_TCP, TCP_NODELAY, [0], [4]) = 0", "getsockopt value: expected 0, got 1", "0");
    fails("getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [8]) = 0", "getsockopt length: expected 8, got 4", "[8]");
    fails(
        "getsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=8}, [8]) = 0",
        "getsockopt linger: expected 8, got 7",
        "8",
    );
    fails(
        "getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_state=TCP_CLOSE}, ...) = 0",
        "getsockopt tcpi_state: expected 7, got 1",
        "TCP_CLOSE",
    );
    let (what, _) = world.fails("getsockopt(4, SOL_TCP, TCP_CONGESTION, \"cubic\", [16]) = 0");
    assert_eq!(
        what,
        "getsockopt value: expected \"cubic\", got \"reno\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\""
    );
}

#[test]
fn what_is_not_there_is_named() {
    let mut world = World::connected();
    assert_eq!(world.lacks("pipe([6, 7]) = 0"), "pipe()");
    assert_eq!(
        world.lacks("setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0"),
        "setsockopt(SOL_SOCKET, SO_ZEROCOPY)"
    );
    assert_eq!(world.lacks("socket(..., SOCK_RAW, IPPROTO_ICMP) = 6"), "socket(..., SOCK_RAW, IPPROTO_ICMP)");
    // Where the script expects an error, it is compared.
    world.runs("setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = -1 ENOPROTOOPT");
    let (what, _) = world.fails("setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = -1 EPERM");
    assert_eq!(what, "setsockopt: expected -1 EPERM, got -1 ENOPROTOOPT");
}

#[test]
fn descriptors_have_the_numbers_of_the_script() {
    let mut world = World::connected();
    let live = |world: &World, fd| world.calls.live(fd).unwrap();
    world.runs(
        "\
dup(4) = 40
fcntl(4, F_DUPFD, 0) = 41
dup2(4, 42) = 42
dup2(4, 5) = 5
epoll_create(1) = 50
epoll_create1(EPOLL_CLOEXEC) = 51
epoll_create(0) = -1 EINVAL",
    );
    let mut known: Vec<_> = [3, 4, 5, 40, 41, 42, 50, 51].map(|fd| live(&world, fd)).to_vec();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), 8, "each is one of its own");
    assert_eq!(world.fails("dup2(4, 5) = 60"), failure("dup2: expected 60, got 5", "60"));
    world.runs("close(40) = 0");
    assert_eq!(world.calls.live(40), None);
    world.runs("dup(3) = 40");
    let sockets = world.sockets.clone();
    let open: Vec<_> = [3, 4, 41].map(|fd| live(&world, fd)).to_vec();
    world.calls.finish(&sockets);
    assert_eq!(world.calls.live(3), None);
    for fd in open {
        assert_eq!(sockets.getsockname(fd), Err(Errno::BADF));
    }
}

#[test]
fn what_a_script_did_not_expect_is_closed_too() {
    let mut world = World::new();
    world.fails("socket(..., SOCK_STREAM, 0) = -1 EPERM");
    let live = world.calls.descriptors.unnamed().to_vec();
    assert_eq!(live.len(), 1);
    world.calls.finish(&world.sockets.clone());
    // Another test may have the number already: it is a socket of ours no more.
    let gone = world.sockets.getsockname(live[0]);
    assert!(matches!(gone, Err(Errno::BADF | Errno::NOTSOCK)), "{gone:?}");
}

#[test]
fn polls_are_compared() {
    let mut world = World::connected();
    world.runs(
        "\
poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1
poll([{fd=5, events=POLLIN}], 1, 0) = 0
write(4, ..., 1) = 1
poll([{fd=-1, events=0, revents=0}, {fd=5, events=POLLIN, revents=POLLIN}], 2, 0) = 1
poll([{fd=5, events=POLLIN, revents=...}], 1, 0) = 1",
    );
    assert_eq!(
        world.fails("poll([{fd=5, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1"),
        failure("poll revents of 5: expected POLLOUT, got POLLIN|POLLOUT", "POLLOUT")
    );
    assert_eq!(world.fails("poll([{fd=5, events=POLLIN}], 2, 0) = 1").1, "2");
}

#[test]
fn epolls_are_compared() {
    let mut world = World::connected();
    world.runs(
        "\
epoll_create(1) = 6
epoll_ctl(6, EPOLL_CTL_ADD, 5, {events=EPOLLIN|EPOLLOUT|EPOLLET, fd=5}) = 0
epoll_ctl(6, EPOLL_CTL_ADD, 5, {events=EPOLLIN, fd=5}) = -1 EEXIST
epoll_wait(6, {events=EPOLLOUT, fd=5}, 1, 0) = 1
epoll_wait(6, {events=0, ptr=0}, 1, 0) = 0
write(4, ..., 1) = 1
epoll_wait(6, [{events=EPOLLIN|EPOLLOUT, u64=5}], 5, 0) = 1
epoll_ctl(6, EPOLL_CTL_MOD, 5, {events=EPOLLOUT, u32=77}) = 0
epoll_wait(6, {events=..., u32=77}, 1, 0) = 1
epoll_wait(6, ..., 0, 0) = -1 EINVAL",
    );
    let said = "{events=EPOLLIN, u32=77}";
    assert_eq!(
        world.fails(&format!("epoll_wait(6, {said}, 1, 0) = 1")),
        failure("epoll_wait events: expected EPOLLIN, got EPOLLOUT", said)
    );
    let said = "{events=EPOLLOUT, u32=78}";
    assert_eq!(
        world.fails(&format!("epoll_wait(6, {said}, 1, 0) = 1")),
        failure("epoll_wait data: expected 78, got 77", said)
    );
    world.runs("epoll_ctl(6, EPOLL_CTL_DEL, 5, NULL) = 0\nepoll_wait(6, {events=0, fd=0}, 1, 0) = 0");
}

#[test]
fn all_of_tcp_info_has_names() {
    let mut world = World::connected();
    world.runs("write(4, ..., 1000) = 1000");
    let fields = world.calls.tcp_info(&world.sockets, 4).unwrap();
    let of = |name: &str| fields.iter().find(|(known, _)| *known == name).unwrap().1;
    assert_eq!(fields.len(), 64 + 8);
    assert_eq!((of("tcpi_state"), of("tcpi_bytes_sent"), of("tcpi_data_segs_out")), (1, 1000, 1));
    assert_eq!(
        (of("tcpi_snd_wscale"), of("tcpi_rcv_wscale")),
        (of("tcpi_rcv_wscale"), of("tcpi_snd_wscale"))
    );
    assert_eq!(of("tcpi_reordering"), 3);
    assert!(of("tcpi_snd_wnd") > 0 && of("tcpi_rcv_wnd") > 0);
    let error = world.calls.tcp_info(&world.sockets, 9).unwrap_err();
    assert_eq!(error, "the script has no descriptor 9 open");
    world.runs("socket(..., SOCK_DGRAM, 0) = 9");
    let error = world.calls.tcp_info(&world.sockets, 9).unwrap_err();
    assert!(error.starts_with("TCP_INFO of descriptor 9: E"), "{error}");
}

#[test]
fn fields_of_tcp_info_stand_where_linux_has_them() {
    let octets: Vec<u8> = (0..=255).chain(0..24).collect();
    let fields = tcp_info::fields(&octets);
    let of = |name: &str| fields.iter().find(|(known, _)| *known == name).unwrap().1;
    let word = |at: usize| u64::from(u32::from_ne_bytes(octets[at..at + 4].try_into().unwrap()));
    assert_eq!((of("tcpi_options"), of("tcpi_rto"), of("tcpi_total_retrans")), (5, word(8), word(100)));
    let long = u64::from_ne_bytes(octets[208..216].try_into().unwrap());
    assert_eq!((of("tcpi_bytes_retrans"), of("tcpi_rcv_wnd")), (long, word(232)));
    assert_eq!((of("tcpi_total_rto_time"), of("tcpi_received_ce_bytes")), (word(244), word(272)));
    if cfg!(target_endian = "little") {
        assert_eq!((of("tcpi_snd_wscale"), of("tcpi_rcv_wscale")), (6, 0));
        assert_eq!((of("tcpi_delivery_rate_app_limited"), of("tcpi_fastopen_client_fail")), (1, 3));
        assert_eq!((of("tcpi_ecn_mode"), of("tcpi_accecn_fail_mode"), of("tcpi_options2")), (0, 1, 0x171615));
    }
    // Of a short one the rest is 0.
    let short = tcp_info::fields(&octets[..12]);
    assert_eq!(short.iter().find(|(name, _)| *name == "tcpi_ato"), Some(&("tcpi_ato", 0)));
}

#[test]
fn what_a_call_gave_is_recorded_and_not_judged() {
    let mut world = World::connected();
    let mut gave = |line: &str| {
        let call = &calls_of(&format!("+0 {line}"))[0];
        let done = world.calls.prepare(call).unwrap().run(&world.sockets);
        world.stepper.settle();
        world.calls.record(call, done).unwrap()
    };
    for (line, text) in [
        ("write(4, ..., 100) = -1 EPIPE", "100"),
        ("ioctl(5, FIONREAD, [7]) = 9", "0 [100]"),
        ("read(5, ..., 1000) = 1", "100"),
        ("read(5, ..., 1000) = 1", "-1 EAGAIN"),
        ("poll([{fd=5, events=POLLOUT, revents=0}], 1, 0) = 0", "1 [POLLOUT]"),
        ("getsockopt(4, SOL_SOCKET, SO_ERROR, [9], [4]) = 7", "0 [0]"),
        ("getsockname(5, ..., ...) = -1", "0 [127.0.0.1 port 8080]"),
        ("socket(..., SOCK_DGRAM, 0) = 6", "6"),
        ("socket(..., SOCK_DGRAM, 0) = 6", "a new descriptor"),
        ("socket(..., SOCK_DGRAM, 0) = -1 EMFILE", "a new descriptor"),
        ("accept(3, ..., ...) = 8", "-1 EAGAIN"),
    ] {
        assert_eq!(gave(line).text, text, "{line}");
    }
    assert_eq!(gave("close(6) = -1 EBADF").effects, [Effect::Closed { fd: 6 }]);
    assert_eq!(world.calls.descriptors.unnamed().len(), 2);
}

/// Every field of `struct tcp_info` is explained, and has in some script a value that says something.
#[test]
fn each_field_is_explained_and_asserted() {
    const NOTHING: [&str; 4] = ["tcpi_fackets", "tcpi_last_ack_sent", "tcpi_rehash", "tcpi_options2"];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/tcp-info.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `tcpi_")).collect();
    let mut asserted = String::new();
    for folder in std::fs::read_dir(root.join("tests/packetdrill")).unwrap() {
        let Ok(scripts) = std::fs::read_dir(folder.unwrap().path()) else { continue };
        for script in scripts {
            let text = std::fs::read_to_string(script.unwrap().path()).unwrap();
            asserted.extend(text.lines().filter(|line| line.contains("assert ")));
        }
    }
    let is_in = |text: &str, name: &str| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c == '_' || c.is_ascii_alphanumeric());
        text.match_indices(name).any(|(at, _)| ends(&text[at + name.len()..]))
    };
    for (name, _) in super::tcp_info::fields(&[]) {
        let quoted = format!("`{name}`");
        assert_eq!(rows.iter().filter(|row| row.contains(&quoted)).count(), 1, "{name} in docs/tcp-info.md");
        assert!(NOTHING.contains(&name) || is_in(&asserted, name), "no script asserts {name}");
    }
}

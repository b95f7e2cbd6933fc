//! `nc`, with sockets of the host, and with itself; tests/kernel/netcat.rs has it with the host's netcat.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::program::*;

/// Longer than the buffers on the way.
const LEN: usize = 4_000_000;

/// An end of the host's that says all of `data`, then half-closes, and hears all there is meanwhile. It is no
/// netcat: one with `-N` that has heard the end may leave before it has said everything (1.219 did in
/// 20 of 2,000 exchanges of two kernels).
fn exchanged(mut stream: TcpStream, data: Vec<u8>) -> Vec<u8> {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || {
        writing.write_all(&data)?;
        writing.shutdown(Shutdown::Write)
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    writer.join().unwrap().unwrap();
    heard
}

pub(crate) fn nc_half_closes_towards_the_host() {
    assert_ok(&run("up --user root"));
    for host in ["10.7.0.1", "fd07::1"] {
        let (ours, theirs) = (data(LEN), data(LEN / 2 + 1));
        let listener = TcpListener::bind((host, 9000)).unwrap();
        let answer = theirs.clone();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            // All that it says comes after our end: on the half of the connection that is left.
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            assert_eq!(exchanged(stream, answer), b"");
            heard
        });
        let client = run_with(&mut command(&format!("nc -N {host} 9000")), &ours);
        assert_ok(&client);
        assert!(client.stdout == theirs, "{} of {}", client.stdout.len(), theirs.len());
        let heard = server.join().unwrap();
        assert!(heard == ours, "{} of {}", heard.len(), ours.len());
    }
    assert_ok(&run("down"));
}

pub(crate) fn nc_hears_a_half_close_of_the_host() {
    for own in ["10.7.0.2:9000", "[fd07::2]:9000"] {
        let (ours, theirs) = (data(LEN), data(LEN / 2 + 1));
        let mut server = Program::start_with_data("nc -l -N 9000");
        let mut stdin = server.stdin();
        let stream = TcpStream::connect_timeout(&at(own), LIMIT).unwrap();
        let said = theirs.clone();
        let client = thread::spawn(move || exchanged(stream, said));
        // The host's end may come while ours has still all to say.
        stdin.write_all(&ours).unwrap();
        drop(stdin);
        let heard = client.join().unwrap();
        assert!(heard == ours, "{} of {}", heard.len(), ours.len());
        let server = server.ended();
        assert_eq!(server.code, Some(0));
        assert!(server.other == theirs, "{} of {}", server.other.len(), theirs.len());
        assert_eq!(server.event("summary")["ok"], true);
    }
}

/// Two stacks, and the kernel as the router between their devices.
pub(crate) fn nc_against_itself() {
    for (switch, on) in [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")] {
        std::fs::write(format!("/proc/sys/net/{switch}"), on).unwrap();
    }
    let other = "--dev tun1 --addr 10.8.0.2/24 --addr6 fd08::2/64";
    for to in ["10.7.0.2", "fd07::2"] {
        for swapped in [false, true] {
            let (ours, theirs) = (data(LEN), data(1000));
            let (ours, theirs) = if swapped { (theirs, ours) } else { (ours, theirs) };
            let mut server = Program::start_with_data("nc -l -N 9000");
            let mut stdin = server.stdin();
            let input = theirs.clone();
            let writer = thread::spawn(move || stdin.write_all(&input).map(|()| drop(stdin)));
            let client = run_with(&mut command(&format!("nc -N {to} 9000 {other}")), &ours);
            assert_ok(&client);
            writer.join().unwrap().unwrap();
            assert!(client.stdout == theirs, "{} of {}", client.stdout.len(), theirs.len());
            let server = server.ended();
            assert_eq!(server.code, Some(0));
            assert!(server.other == ours, "{} of {}", server.other.len(), ours.len());
        }
    }
}

pub(crate) fn nc_without_half_close_stays() {
    assert_ok(&run("up --user root"));
    let listener = TcpListener::bind("10.7.0.1:9000").unwrap();
    let client = thread::spawn(|| run_with(&mut command("nc 10.7.0.1 9000"), b"all we have"));
    let (mut stream, _) = listener.accept().unwrap();
    let mut got = [0; 11];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"all we have");
    // No FIN follows; it ends when we do.
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let none = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(none.kind(), std::io::ErrorKind::WouldBlock), "{none}");
    stream.write_all(b"and we").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let client = client.join().unwrap();
    assert_ok(&client);
    assert_eq!(client.stdout, b"and we");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_ok(&run("down"));

    // With -l the peer's end is enough, but what is at hand is sent before.
    let mut server = Program::start_with_data("nc -l 10.7.0.2 9000");
    let mut stdin = server.stdin();
    let mut peer = TcpStream::connect_timeout(&at("10.7.0.2:9000"), LIMIT).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let ours = data(LEN);
    let input = ours.clone();
    let writer = thread::spawn(move || stdin.write_all(&input).map(|()| stdin));
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert!(got == ours, "{} of {}", got.len(), ours.len());
    // Its standard input is still open.
    let _stdin = writer.join().unwrap().unwrap();
    assert_eq!(server.ended().code, Some(0));
}

pub(crate) fn nc_carries_datagrams() {
    assert_ok(&run("up --user root"));
    for (host, own) in [("10.7.0.1:9000", "10.7.0.2:9001"), ("[fd07::1]:9000", "[fd07::2]:9001")] {
        let socket = UdpSocket::bind(host).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let ip = at(host).ip();
        let client =
            thread::spawn(move || run_with(&mut command(&format!("nc -u -w 2 {ip} 9000")), b"question"));
        let mut buffer = [0; 100];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"question");
        socket.send_to(b"answer", from).unwrap();
        let client = client.join().unwrap();
        assert_ok(&client);
        assert_eq!(client.stdout, b"answer");

        let mut server = Program::start_with_data("nc -l -u 9001");
        socket.send_to(b"first", at(own)).unwrap();
        let mut stdin = server.stdin();
        stdin.write_all(b"reply").unwrap();
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (&b"reply"[..], at(own)));
        let ended = server.stop();
        assert_eq!((ended.code, ended.other()), (Some(130), "first".to_owned()));
    }
    // A port where nobody is.
    let refused = run_with(&mut command("nc -u 10.7.0.1 9999"), b"hello");
    assert_eq!(code(refused.status), 1);
    assert!(text(&refused.stderr).contains("Connection refused"), "{}", text(&refused.stderr));
    assert_ok(&run("down"));
}

pub(crate) fn nc_gives_up_in_time() {
    // Nobody has this address.
    let begun = Instant::now();
    let nobody = run("nc -w 0.5 10.7.0.99 9000");
    assert_eq!(code(nobody.status), 1);
    assert!(text(&nobody.stderr).contains("10.7.0.99:9000: timed out"), "{}", text(&nobody.stderr));
    assert!(begun.elapsed() < LIMIT / 4);

    // Connected, and then nothing happens.
    assert_ok(&run("up --user root"));
    let listener = TcpListener::bind("10.7.0.1:9000").unwrap();
    let mut idle = Program::spawn(&mut command("nc -v -w 0.5 10.7.0.1 9000"), true);
    let (mut stream, _) = listener.accept().unwrap();
    assert!(idle.line().contains("connected to 10.7.0.1:9000"));
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    drop(stream);
    let _open = idle.stdin();
    assert_eq!(idle.ended().code, Some(0));
    assert_ok(&run("down"));
}

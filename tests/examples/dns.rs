//! The DNS server, asked by dig and by whoever sends it nonsense.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use crate::example::Example;
use crate::host::{LONG, ready, until_routed};
use crate::program::{child, run};

const SERVERS: [&str; 2] = ["@10.7.0.2", "@fd07::2"];

/// How many addresses the name with many has: 3,200 octets of answer.
const MANY: u8 = 200;

fn start() -> Example {
    ready();
    let many = (0..MANY).map(|n| format!("--record=many.test={}", Ipv4Addr::new(192, 0, 2, n)));
    let few = ["www.test=192.0.2.1", "www.test=2001:db8::1", "a.deep.test=192.0.2.9"];
    let args: Vec<_> = few.iter().map(|record| format!("--record={record}")).chain(many).collect();
    let server = Example::start("dns_server", &args);
    until_routed();
    server
}

/// What dig says, which must have got an answer, and at the first try.
fn dig(server: &str, question: &str) -> String {
    let args = ["+tries=1", "+time=10", "+norecurse", server];
    run(child("dig").args(args).args(question.split(' ')))
}

/// The data of the answer section's records.
fn answers(said: &str) -> Vec<&str> {
    let section = said.split(";; ANSWER SECTION:\n").nth(1).unwrap_or_default();
    let records = section.lines().take_while(|line| !line.is_empty());
    records.map(|record| record.split_whitespace().last().unwrap()).collect()
}

/// What dig says must contain all of `texts`, and these answers.
fn expect(server: &str, question: &str, data: &[&str], texts: &[&str]) {
    let said = dig(server, question);
    assert_eq!(answers(&said), data, "{said}");
    for text in texts {
        assert!(said.contains(text), "dig {server} {question}: no {text:?} in\n{said}");
    }
}

pub(crate) fn asked_by_dig() {
    let example = start();
    for server in SERVERS {
        for (by, protocol) in [("+notcp", "(UDP)"), ("+tcp", "(TCP)"), ("+notcp +noedns", "(UDP)")] {
            let ask = |question: &str, data: &[&str], texts: &[&str]| {
                expect(server, &format!("{by} {question}"), data, &[texts, &[protocol]].concat());
            };
            let found = ["status: NOERROR", "flags: qr aa;"];
            ask("www.test", &["192.0.2.1"], &found);
            ask("www.test AAAA", &["2001:db8::1"], &found);
            // A name is the same in any case, and given back in the one it was asked in.
            ask("wWw.TeSt A", &["192.0.2.1"], &["status: NOERROR", "wWw.TeSt.\t"]);
            let soa = "SOA\tns.test. hostmaster.test.";
            ask("nobody.test", &[], &["status: NXDOMAIN", "flags: qr aa;", soa]);
            // Names without such a record, the first of which only has another below it.
            ask("deep.test", &[], &["status: NOERROR", "flags: qr aa;", soa]);
            ask("www.test MX", &[], &["status: NOERROR", "flags: qr aa;", soa]);
            ask("www.example", &[], &["status: REFUSED", "flags: qr;"]);
            ask("+opcode=notify www.test", &[], &["status: NOTIMP"]);
        }
        // Several questions over one connection.
        let said = dig(server, "+tcp +keepopen www.test A www.test AAAA nobody.test");
        assert_eq!(said.matches("status: NOERROR").count(), 2, "{said}");
        assert_eq!(said.matches("status: NXDOMAIN").count(), 1, "{said}");
        expect(server, "+edns=9 +noednsnegotiation www.test", &[], &["status: BADVERS"]);
    }
    assert_eq!(example.end(), "");
}

/// What is too large for a datagram comes without a part of it, and dig asks again over TCP.
pub(crate) fn large_answers() {
    let example = start();
    let all: Vec<_> = (0..MANY).map(|n| Ipv4Addr::new(192, 0, 2, n).to_string()).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    for server in SERVERS {
        expect(server, "+notcp +ignore many.test", &[], &["flags: qr aa tc;", "(UDP)"]);
        expect(server, "many.test", &all, &["Truncated, retrying in TCP", "flags: qr aa;", "(TCP)"]);
        expect(server, "+noedns many.test", &all, &["Truncated, retrying in TCP", "(TCP)"]);
        // Who says that he takes that much gets it as one datagram in several packets.
        expect(server, "+notcp +bufsize=4096 many.test", &all, &["flags: qr aa;", "(UDP)"]);
    }
    assert_eq!(example.end(), "");
}

pub(crate) fn nonsense() {
    let example = start();
    let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
    socket.connect("10.7.0.2:53").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut buf = [0; 512];
    // No answer is due to what has no header, and to answers: what comes is due to the last one, a header that
    // promises a question and breaks off.
    socket.send(b"").unwrap();
    socket.send(b"hello").unwrap();
    socket.send(&[0x12, 0x34, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    socket.send(&[0x12, 0x34, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    socket.send(&[0x56, 0x78, 0x00, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let len = socket.recv(&mut buf).unwrap();
    assert!(len >= 12 && buf[..2] == [0x56, 0x78] && buf[2] & 0x80 != 0, "{:?}", &buf[..len]);
    assert_eq!(buf[3] & 0xf, 1, "FORMERR");
    // A connection that breaks off in the middle of a query, and one that says nothing while others are served.
    let silent = TcpStream::connect("10.7.0.2:53").unwrap();
    let mut broken = TcpStream::connect("10.7.0.2:53").unwrap();
    broken.write_all(&[0, 100, 1, 2, 3]).unwrap();
    drop(broken);
    expect(SERVERS[0], "+tcp www.test", &["192.0.2.1"], &["status: NOERROR"]);
    drop(silent);
    assert_eq!(example.end(), "");
}

//! The client that resolves a name and fetches a page: against our DNS server on a device of its own, with the
//! kernel as the router between the two, and against one on the kernel's sockets that is hard to talk to. The
//! page comes from the kernel's TCP.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::process::Output;
use std::thread;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::{RData, Record, RecordType};
use tunstack::sim::pattern::Pattern;

use crate::example::{Example, command};
use crate::host::{ADDRESSES, LONG, ip, ready, sysctl, until_address_serves};

const PORT: u16 = 8080;

fn page() -> Vec<u8> {
    let mut page = vec![0; 3_000_000];
    Pattern::new(7).fill(0, &mut page);
    page
}

/// Serves the page at `/`, and nothing else, on every address of the host. Its thread ends with the process.
fn serve_pages() {
    let listener = TcpListener::bind(("::", PORT)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).unwrap();
                request.extend(octet);
            }
            let request = String::from_utf8(request).unwrap().to_ascii_lowercase();
            let (status, body) = match request.starts_with("get / http/1.1\r\n") {
                true => ("200 OK", page()),
                false => ("404 Not Found", b"nothing".to_vec()),
            };
            assert!(request.contains(&format!(".test:{PORT}\r\n")), "{request}");
            let header =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(header.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
}

struct Fetched {
    code: Option<i32>,
    page: Vec<u8>,
    said: String,
}

/// Runs the client to its end. It makes `tun0` for that, and takes it away.
fn fetch(server: &str, more: &[&str], url: &str) -> Fetched {
    let Output { status, stdout, stderr } =
        command("resolve_and_fetch").args(["--server", server]).args(more).arg(url).output().unwrap();
    Fetched { code: status.code(), page: stdout, said: String::from_utf8_lossy(&stderr).into_owned() }
}

impl Fetched {
    fn is_the_page(&self) {
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert!(self.page == page(), "{} octets came: {}", self.page.len(), self.said);
    }

    fn says(&self, text: &str) {
        assert!(self.said.contains(text), "no {text:?} in {}", self.said);
    }
}

pub(crate) fn by_our_dns_server() {
    ready();
    sysctl("ipv4/ip_forward", "1");
    sysctl("ipv6/conf/all/forwarding", "1");
    let site = ADDRESSES.map(|(host, _)| format!("--record=www.test={host}"));
    // The first is the host's.
    let long = (1..=100).map(|n| format!("--record=long.test=10.7.0.{n}"));
    let args = ["--dev", "tun1", "--addr", "10.8.0.2/24", "--addr6", "fd08::2/64"].map(String::from);
    let only = ["--record=four.test=10.7.0.1", "--record=closed.test=fd07::1"].map(String::from);
    let args: Vec<_> = args.into_iter().chain(site).chain(long).chain(only).collect();
    let dns = Example::start("dns_server", &args);
    until_address_serves("fd08::1");
    serve_pages();
    let url = |name: &str| format!("http://{name}.test:{PORT}/");

    let fetched = fetch("10.8.0.2", &[], &url("www"));
    fetched.is_the_page();
    fetched.says("10.8.0.2:53 over UDP: www.test. AAAA: No Error, 1 addresses");
    fetched.says("HTTP/1.1 200 OK");
    fetch("[fd08::2]:53", &[], &url("www")).is_the_page();
    fetch("10.8.0.2", &["--no-ipv6"], &url("www")).is_the_page();
    fetch("10.8.0.2", &[], &url("four")).is_the_page();
    // Too much for a datagram.
    let fetched = fetch("10.8.0.2", &[], &url("long"));
    fetched.is_the_page();
    fetched.says("10.8.0.2:53 over TCP: long.test. A: No Error, 100 addresses");

    let missing = fetch("10.8.0.2", &[], &format!("{}nothing", url("www")));
    missing.says("404 Not Found");
    assert_eq!((missing.code, &missing.page[..]), (Some(1), &b"nothing"[..]));
    let nobody = fetch("10.8.0.2", &[], &url("nobody"));
    nobody.says("Error: nobody.test.: Non-Existent Domain");
    assert_eq!((nobody.code, nobody.page.len()), (Some(1), 0));
    let closed = fetch("10.8.0.2", &[], "http://closed.test:81/");
    closed.says("Error: cannot connect: [fd07::1]:81: Connection refused");
    assert_eq!(closed.code, Some(1));
    assert_eq!(dns.end(), "");
}

/// A server that loses the first query, and whose answer to the second comes after others that are not meant.
pub(crate) fn by_a_server_that_loses_and_lies() {
    ready();
    // Before the client's device is there.
    sysctl("ipv4/ip_nonlocal_bind", "1");
    let server = UdpSocket::bind("10.7.0.1:5353").unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    serve_pages();
    let answers = thread::spawn(move || {
        let mut datagram = [0; 512];
        let (len, _) = server.recv_from(&mut datagram).unwrap();
        let lost = datagram[..len].to_vec();
        let (len, client) = server.recv_from(&mut datagram).unwrap();
        assert_eq!(datagram[..len], lost, "the same once more");
        let query = Message::from_vec(&lost).unwrap();
        let answer = |ip: IpAddr| {
            let mut answer = Message::new();
            let record = Record::from_rdata(query.queries()[0].name().clone(), 1, RData::from(ip));
            answer.set_id(query.id()).set_message_type(MessageType::Response);
            answer.add_queries(query.queries().to_vec()).add_answer(record);
            answer
        };
        let lie = ip("192.0.2.66");
        let mut other_number = answer(lie);
        other_number.set_id(query.id() ^ 1);
        let mut other_name = answer(lie);
        other_name.queries_mut()[0].set_query_type(RecordType::MX);
        let mut no_answer = answer(lie);
        no_answer.set_message_type(MessageType::Query);
        for message in [other_number, other_name, no_answer, answer(ip("10.7.0.1"))] {
            server.send_to(&message.to_vec().unwrap(), client).unwrap();
            server.send_to(b"\x00", client).unwrap();
        }
    });
    let fetched = fetch("10.7.0.1:5353", &["--no-ipv6"], &format!("http://www.test:{PORT}/"));
    answers.join().unwrap();
    fetched.is_the_page();
    fetched.says("10.7.0.1:5353 over UDP: no answer in 1 s");
    assert!(!fetched.said.contains("192.0.2.66"), "{}", fetched.said);
    // Nobody is there any more, and the kernel says so.
    let refused = fetch("10.7.0.1:5353", &["--no-ipv6"], "http://www.test/");
    refused.says("Error: Connection refused");
    assert_eq!(refused.code, Some(1));
}

//! A DNS server for a small zone, over UDP and TCP (RFC 1035, 6891, 7766).
//!
//! Run it as root with `--record www.test=192.0.2.1`, then type: dig @10.7.0.2 www.test

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use clap::Parser;
use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Header, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use tunstack::net::{TcpListener, TcpStream, UdpSocket};

/// How long an answer may be kept, seconds.
const TTL: u32 = 60;

/// The largest message over UDP, octets: for who does not say what he takes, and for who takes anything.
const UDP_SIZES: (u16, u16) = (512, 4096);

/// How long a TCP connection may be silent.
const IDLE: Duration = Duration::from_secs(10);

/// A DNS server with an IP address of its own, for the names given here.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 53)]
    port: u16,
    /// The zone that all the names are in
    #[arg(long, default_value = "test", value_parser = name)]
    zone: Name,
    /// A name and an address of it, IPv4 or IPv6; once for each
    #[arg(long = "record", value_name = "NAME=ADDRESS", required = true, value_parser = record)]
    records: Vec<(Name, IpAddr)>,
}

fn name(text: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(text).map_err(|error| format!("{text:?} is no domain name: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

fn record(text: &str) -> Result<(Name, IpAddr), String> {
    let (owner, address) = text.split_once('=').ok_or("write it as www.test=192.0.2.1")?;
    let address = address.parse().map_err(|_| format!("{address:?} is no IP address"))?;
    Ok((name(owner)?, address))
}

fn main() -> common::Done {
    let args = Args::parse();
    let zone = Zone::new(args.zone, args.records)?;
    let host = args.host.up()?;
    let udp = host.engine.bind_udp(host.any(args.port))?;
    let tcp = host.engine.listen(host.any(args.port))?;
    let ending = host.shut_down_on_ctrl_c();
    host.serving("DNS over UDP and TCP", args.port);
    thread::scope(|scope| {
        scope.spawn(|| serve_tcp(&host, &tcp, &zone));
        serve_udp(&host, &udp, &zone)
    })?;
    ending.wait()
}

/// Answers datagrams until the engine has ended.
fn serve_udp(host: &common::Host, udp: &UdpSocket, zone: &Zone) -> common::Done {
    let mut query = vec![0; 65_535];
    loop {
        let answered = udp.recv_from(&mut query).and_then(|(len, from)| {
            let response = zone.answer(&query[..len], |theirs| theirs.clamp(UDP_SIZES.0, UDP_SIZES.1));
            response.map_or(Ok(0), |octets| udp.send_to(&octets, from))
        });
        match answered {
            Ok(_) => {}
            Err(error) if host.ended(&error)? => return Ok(()),
            Err(error) => common::complain!("UDP: {error}"), // of one client: the others go on
        }
    }
}

/// Takes connections until the engine has ended: a thread for each.
fn serve_tcp(host: &common::Host, tcp: &TcpListener, zone: &Zone) -> common::Done {
    thread::scope(|scope| {
        loop {
            match tcp.accept() {
                Ok((stream, peer)) => {
                    scope.spawn(move || match serve_connection(stream, zone) {
                        Ok(()) => {}
                        // The client has nothing more to ask, or has been silent for too long.
                        Err(error)
                            if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::WouldBlock) => {}
                        Err(error) if matches!(host.ended(&error), Ok(true)) => {}
                        Err(error) => common::complain!("{peer}: {error}"),
                    });
                }
                Err(error) if host.ended(&error)? => return Ok(()),
                Err(_) => {} // that one was reset before its turn
            }
        }
    })
}

/// Any number of queries, each after its length (RFC 7766 section 8).
fn serve_connection(mut stream: TcpStream, zone: &Zone) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    loop {
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut query = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut query)?;
        let Some(response) = zone.answer(&query, |_| u16::MAX) else { return Ok(()) };
        let len = (response.len() as u16).to_be_bytes();
        stream.write_all(&[&len[..], &response].concat())?; // in one write, and so in one segment if it fits
    }
}

/// What is known of a zone.
struct Zone {
    origin: Name,
    soa: SOA,
    records: Vec<(Name, IpAddr)>,
}

impl Zone {
    fn new(origin: Name, records: Vec<(Name, IpAddr)>) -> Result<Self, common::Failure> {
        if let Some((stray, _)) = records.iter().find(|(name, _)| !origin.zone_of(name)) {
            return Err(common::Failure::of(format!("--record {stray}"), format!("not in --zone {origin}")));
        }
        let (ns, mail) = (origin.prepend_label("ns")?, origin.prepend_label("hostmaster")?);
        let ttl = TTL as i32;
        Ok(Self { origin, soa: SOA::new(ns, mail, 1, ttl, ttl, ttl, TTL), records })
    }

    /// The response to a query, both as octets. `size` makes of what the client takes over UDP how long the
    /// response may be. Nothing where none is due.
    fn answer(&self, query: &[u8], size: impl FnOnce(u16) -> u16) -> Option<Vec<u8>> {
        let encoded = match Message::from_vec(query) {
            // Two servers must not answer each other's answers.
            Ok(message) if message.message_type() == MessageType::Response => return None,
            Ok(message) => self.respond(&message, size(message.max_payload())),
            Err(_) => {
                let header = Header::read(&mut BinDecoder::new(query)).ok()?;
                if header.message_type() == MessageType::Response {
                    return None;
                }
                Message::error_msg(header.id(), header.op_code(), ResponseCode::FormErr).to_vec()
            }
        };
        encoded.inspect_err(|error| common::complain!("cannot encode a response: {error}")).ok()
    }

    fn respond(&self, query: &Message, size: u16) -> Result<Vec<u8>, ProtoError> {
        let mut response = Message::error_msg(query.id(), query.op_code(), ResponseCode::NoError);
        response.set_recursion_desired(query.recursion_desired()).add_queries(query.queries().to_vec());
        if query.extensions().is_some() {
            let mut ours = Edns::new();
            ours.set_max_payload(UDP_SIZES.1);
            response.set_edns(ours);
        }
        let code = self.fill(query, &mut response);
        response.set_response_code(code);
        let octets = response.to_vec()?;
        // Without a part of the answer, which nobody could use: the client asks again over TCP.
        if octets.len() > usize::from(size) { response.truncate().to_vec() } else { Ok(octets) }
    }

    /// Finds what is asked for.
    fn fill(&self, query: &Message, response: &mut Message) -> ResponseCode {
        if query.version() > 0 {
            return ResponseCode::BADVERS;
        }
        if query.op_code() != OpCode::Query {
            return ResponseCode::NotImp;
        }
        let [question] = query.queries() else { return ResponseCode::FormErr };
        if question.query_class() != DNSClass::IN || !self.origin.zone_of(question.name()) {
            return ResponseCode::Refused;
        }
        response.set_authoritative(true);
        let wanted = question.query_type();
        let of_type = |data: &RData| wanted == data.record_type() || wanted == RecordType::ANY;
        let addresses = self.records.iter().filter(|(name, _)| name == question.name());
        let soa = || (&self.origin == question.name()).then(|| RData::SOA(self.soa.clone()));
        let found: Vec<_> = addresses.map(|&(_, ip)| RData::from(ip)).chain(soa()).collect();
        let found = found.into_iter().filter(of_type);
        response.add_answers(found.map(|data| Record::from_rdata(question.name().clone(), TTL, data)));
        if response.answers().is_empty() {
            // Tells how long the lack may be remembered (RFC 2308 section 3).
            response.add_name_server(Record::from_rdata(
                self.origin.clone(),
                TTL,
                RData::SOA(self.soa.clone()),
            ));
        }
        // A name exists that has something below it, too (RFC 8020).
        let exists = question.name() == &self.origin
            || self.records.iter().any(|(name, _)| question.name().zone_of(name));
        if exists { ResponseCode::NoError } else { ResponseCode::NXDomain }
    }
}

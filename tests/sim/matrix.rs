//! The matrix of peers: what two hosts can do to each other, with our stack at both ends, at the client's and at
//! the server's. The other one is smoltcp. (The kernel as a peer has its own tests, over a TUN.)

use tunstack::core::error::Error;
use tunstack::core::tcp::state::State;
use tunstack::core::time::Duration;
use tunstack::sim::behaviour::{Behaviour, End, ReadStep, WriteStep};
use tunstack::sim::link::LinkConfig;

use crate::pair::{CLIENT, Kind, Pair, SERVER, secs};

/// Two stacks and the family they speak.
#[derive(Clone, Copy, Debug)]
struct Peers {
    kinds: (Kind, Kind),
    addresses: (&'static str, &'static str),
}

impl Peers {
    fn pair(self, link: &str, client: Behaviour, server: Behaviour) -> Pair {
        Pair::at(self.addresses, self.kinds, 1, link, client, server)
    }

    fn has_smol(self) -> bool {
        self.kinds.0 == Kind::Smol || self.kinds.1 == Kind::Smol
    }
}

/// One test a cell: each row is a script below, each column two stacks and a family.
macro_rules! matrix {
    ($($row:ident)*) => {
        matrix!(@column ours_with_ours_over_ipv4, Ours, Ours, V4, $($row)*);
        matrix!(@column ours_with_ours_over_ipv6, Ours, Ours, V6, $($row)*);
        matrix!(@column ours_with_smoltcp_over_ipv4, Ours, Smol, V4, $($row)*);
        matrix!(@column ours_with_smoltcp_over_ipv6, Ours, Smol, V6, $($row)*);
        matrix!(@column smoltcp_with_ours_over_ipv4, Smol, Ours, V4, $($row)*);
        matrix!(@column smoltcp_with_ours_over_ipv6, Smol, Ours, V6, $($row)*);
    };
    (@column $name:ident, $client:ident, $server:ident, $family:ident, $($row:ident)*) => {
        mod $name {
            use crate::pair::{Kind, $family};

            const PEERS: super::Peers =
                super::Peers { kinds: (Kind::$client, Kind::$server), addresses: $family };
            $(
                #[test]
                fn $row() {
                    super::$row(PEERS);
                }
            )*
        }
    };
}

matrix! {
    bulk_both_ways_at_once
    client_half_closes_and_is_still_sent_to
    server_half_closes_and_is_still_sent_to
    both_close_at_once
    client_closes_with_unread_data
    server_closes_with_unread_data
    client_aborts
    nobody_listens
    a_black_hole_times_out
    a_server_that_reads_again_after_three_hours
    a_client_that_reads_again_after_three_hours
    a_stopped_reader_that_sends_is_heard
}

fn bulk_both_ways_at_once(peers: Peers) {
    let n = 2 << 20;
    let pair =
        peers.pair("100mbit,5ms,queue=400p", Behaviour::exchange(n, n), Behaviour::exchange(n, n)).run();
    pair.assert_complete(n, n);
    pair.settle();
}

fn client_half_closes_and_is_still_sent_to(peers: Peers) {
    let (up, down) = (10_000, 500_000);
    let (client, server) = (Behaviour::exchange(up, down), Behaviour::half_close_last(down, up));
    let pair = peers.pair("20mbit,10ms", client, server).run();
    pair.assert_complete(up, down);
    let (c, s) = (pair.client(), pair.server());
    assert!(c.shut_at < c.first_octet_at, "the client's end is sent before it is sent anything");
    assert!(s.eof_at < c.last_octet_at, "what the server sends after the end of file arrives");
    pair.settle();
}

fn server_half_closes_and_is_still_sent_to(peers: Peers) {
    let (up, down) = (500_000, 10_000);
    let (client, server) = (Behaviour::half_close_last(up, down), Behaviour::exchange(down, up));
    let pair = peers.pair("20mbit,10ms", client, server).run();
    pair.assert_complete(up, down);
    let (c, s) = (pair.client(), pair.server());
    assert!(s.shut_at < s.first_octet_at, "the server's end is sent before it is sent anything");
    assert!(c.eof_at < s.last_octet_at, "what the client sends after the end of file arrives");
    pair.settle();
}

fn both_close_at_once(peers: Peers) {
    let at = secs(2);
    let (client, server) = (Behaviour::close_at(500, 700, at), Behaviour::close_at(700, 500, at));
    let mut pair = peers.pair("30ms", client, server).run();
    pair.assert_complete(500, 700);
    // The FINs cross after 30 ms: each side is then in CLOSING, whose way to TIME-WAIT is an ACK of its FIN.
    pair.world.run_until(secs(2) + Duration::from_millis(45));
    assert_eq!(pair.state(CLIENT), pair.is_ours(CLIENT).then_some(State::Closing));
    assert_eq!(pair.state(SERVER), pair.is_ours(SERVER).then_some(State::Closing));
    pair.settle();
}

fn client_closes_with_unread_data(peers: Peers) {
    let client = Behaviour::close_unread(Duration::from_secs(1));
    let pair = peers.pair("5ms", client, Behaviour::exchange(1_000, 1)).run();
    assert_eq!(pair.client().error, None);
    assert_eq!(pair.server().failure(), Some(Error::Reset));
    assert_eq!(pair.server().ended_at, Some(secs(1) + Duration::from_millis(10 + 5)));
    pair.settle();
}

fn server_closes_with_unread_data(peers: Peers) {
    let server = Behaviour::close_unread(Duration::from_secs(1));
    let pair = peers.pair("5ms", Behaviour::exchange(1_000, 1), server).run();
    assert_eq!(pair.server().error, None);
    assert_eq!(pair.client().failure(), Some(Error::Reset));
    pair.settle();
}

fn client_aborts(peers: Peers) {
    let client = Behaviour::reset_after(1_000, 1_000, End::Abort);
    let pair = peers.pair("5ms", client, Behaviour::exchange(1_000, 1_000_000)).run();
    assert!(pair.client().is_complete(1_000, 1_000), "{:?}", pair.client());
    assert_eq!(pair.server().failure(), Some(Error::Reset));
    pair.settle();
}

fn nobody_listens(peers: Peers) {
    let client = Behaviour::exchange(1, 1);
    let pair = Pair::without_server(peers.addresses, peers.kinds, "7ms", client).run();
    let expected = ("connect", Error::Refused, secs(0) + Duration::from_millis(14));
    assert_eq!(pair.client().error, Some(expected));
    pair.settle();
}

/// Seven SYNs more than the first, each waiting twice as long but at most two minutes (RFC 9293 §3.8.3: at least
/// three minutes). smoltcp never gives up; it is asked whether it goes on asking.
fn a_black_hole_times_out(peers: Peers) {
    let client = Behaviour::exchange(1, 1);
    let mut pair = Pair::without_server(peers.addresses, peers.kinds, "7ms", client);
    pair.world.link_mut(CLIENT).set_config(LinkConfig::PERFECT.with_loss(1.0));
    let limit = secs(1 + 2 + 4 + 8 + 16 + 32 + 64 + 120);
    pair.world.run_until(limit + Duration::from_millis(1));
    if pair.is_ours(CLIENT) {
        assert_eq!(pair.client().error, Some(("connect", Error::TimedOut, limit)));
        assert_eq!(Error::TimedOut.errno(), 110);
        assert_eq!(pair.world.packets(), 8);
        pair.settle();
    } else {
        assert_eq!(pair.client().error, None);
        assert!(pair.world.packets() > 8);
    }
}

const STOP: Duration = Duration::from_secs(3 * 3_600);

/// More than all buffers hold.
const MORE: u64 = 5_000_000;

fn a_server_that_reads_again_after_three_hours(peers: Peers) {
    let server = Behaviour::exchange(0, MORE).pause_reading(50_000, STOP);
    let pair = peers.pair("100mbit,2ms", Behaviour::exchange(MORE, 0), server).run_for_hours(4);
    pair.assert_complete(MORE, 0);
    assert!(pair.client().written_at > Some(secs(STOP.as_secs())));
    probes_are_rare(&pair, CLIENT);
    resumes_soon(peers, pair.server().ended_at);
    pair.settle();
}

fn a_client_that_reads_again_after_three_hours(peers: Peers) {
    let client = Behaviour::exchange(0, MORE).pause_reading(50_000, STOP);
    let pair = peers.pair("100mbit,2ms", client, Behaviour::exchange(MORE, 0)).run_for_hours(4);
    pair.assert_complete(0, MORE);
    assert!(pair.server().written_at > Some(secs(STOP.as_secs())));
    probes_are_rare(&pair, SERVER);
    resumes_soon(peers, pair.client().ended_at);
    pair.settle();
}

/// Three hours of probes, two minutes apart but for the first few, although many of their octets find room that the window
/// field, which counts in units of 1,024, did not tell of.
fn probes_are_rare(pair: &Pair, sender: tunstack::sim::record::PeerId) {
    if pair.is_ours(sender) {
        let probes = pair.counters(sender).tcp_window_probes;
        assert!((90..=105).contains(&probes), "{probes} probes");
    }
}

/// A window that opens says so: nobody waits for the next probe. smoltcp says it only in answer to one.
fn resumes_soon(peers: Peers, ended: Option<tunstack::core::time::Instant>) {
    let slack = if peers.has_smol() { 130 } else { 2 };
    let limit = secs(STOP.as_secs() + slack);
    assert!(ended < Some(limit), "ended at {ended:?}");
}

/// The window of one direction is closed and probed, while the other direction goes on: its ACKs must not lie
/// beyond that window.
fn a_stopped_reader_that_sends_is_heard(peers: Peers) {
    let pause = Duration::from_secs(600);
    let client = Behaviour::exchange(MORE, 300_000);
    let mut server = Behaviour::exchange(0, MORE).pause_reading(50_000, pause);
    // Little by little, while it does not read.
    server.write = (0..30)
        .flat_map(|_| [WriteStep::Pause(Duration::from_secs(10)), WriteStep::Send(10_000)])
        .chain([WriteStep::Shutdown])
        .collect();
    assert!(server.read.contains(&ReadStep::Pause(pause)));
    let pair = peers.pair("100mbit,2ms", client, server).run_for_hours(1);
    pair.assert_complete(MORE, 300_000);
    let (c, s) = (pair.client(), pair.server());
    assert!(c.written_at > Some(secs(600)), "the reader does stop");
    let heard =
        c.last_octet_at.expect("octets came").saturating_since(s.written_at.expect("octets were sent"));
    assert!(heard < Duration::from_millis(500), "the last octets took {heard:?}");
    if pair.is_ours(SERVER) {
        assert_eq!(pair.counters(SERVER).tcp_retrans_segs, 0, "what was heard is sent again");
    }
    pair.settle();
}

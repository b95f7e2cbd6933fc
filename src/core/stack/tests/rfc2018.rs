//! Clauses of RFC 2018: what a receiver tells by SACK, and what a sender must not make of it.

use super::raw::{Raw, Sent, sack};
use super::*;
use crate::seq::Seq;
use crate::wire::options::Options;

/// A connection whose peer has sent SACK-permitted, or has not.
fn accepted(permitted: bool) -> (Raw, SocketId) {
    let mut r = Raw::new(Config::default());
    r.syn.sack_permitted = permitted;
    let id = r.accepted();
    (r, id)
}

fn blocks(sent: &Sent) -> Vec<(u32, u32)> {
    sent.options.sack.iter().map(|b| (b.start.get(), b.end.get())).collect()
}

/// The answer to ten octets of text at `at`.
fn answer(r: &mut Raw, at: u32) -> Vec<(u32, u32)> {
    r.inject(at, r.ack, Flags::ACK, &[7; 10], &Options::default());
    let out = r.sent();
    assert_eq!(out.len(), 1, "{out:?}");
    blocks(&out[0])
}

//= https://www.rfc-editor.org/rfc/rfc2018#section-2
//= type=test
//= id=rfc2018-2-1
#[test]
fn sack_permitted_is_on_syns_alone() {
    for active in [true, false] {
        let mut r = Raw::new(Config::default());
        r.syn.sack_permitted = true;
        let id = if active {
            let (id, syn) = r.connect();
            assert!(syn.options.sack_permitted);
            r.send(Flags::SYN | Flags::ACK, b"");
            id
        } else {
            let listener = r.listen(1);
            r.send(Flags::SYN, b"");
            let out = r.sent();
            assert!(out[0].options.sack_permitted);
            r.ack = out[0].header.seq.get().wrapping_add(1);
            r.send(Flags::ACK, b"");
            r.host.try_accept(listener).unwrap()
        };
        r.write(id, &[7; 3000]);
        answer_all(&mut r);
        let now = r.now;
        r.host.shutdown(id, Shutdown::Write, now).unwrap();
        answer_all(&mut r);
    }
}

fn answer_all(r: &mut Raw) {
    r.inject(r.seq + 100, r.ack, Flags::ACK, &[7; 10], &Options::default());
    let out = r.wait(Duration::from_secs(3));
    assert!(!out.is_empty() && out.iter().all(|s| !s.options.sack_permitted), "{out:?}");
}

//= https://www.rfc-editor.org/rfc/rfc2018#section-4
//= type=test
//= id=rfc2018-4-2
#[test]
fn blocks_are_told_only_to_a_peer_that_permitted_them() {
    for permitted in [true, false] {
        let (mut r, _) = accepted(permitted);
        let seq = r.seq;
        assert_eq!(answer(&mut r, seq + 10).is_empty(), !permitted);
        assert_eq!(answer(&mut r, seq + 30).is_empty(), !permitted);
    }
}

//= https://www.rfc-editor.org/rfc/rfc2018#section-4
//= type=test
//= id=rfc2018-4-1, rfc2018-4-3, rfc2018-4-4, rfc2018-4-5, rfc2018-4-6, rfc2018-4-7
//= https://www.rfc-editor.org/rfc/rfc2018#section-8
//= type=test
//= id=rfc2018-8-1, rfc2018-8-3
#[test]
fn every_ack_below_the_highest_octet_bears_blocks_the_newest_first() {
    let (mut r, id) = accepted(true);
    let seq = r.seq;
    let at = |n: u32| (seq + n, seq + n + 10);
    assert_eq!(answer(&mut r, seq + 20), [at(20)]);
    assert_eq!(answer(&mut r, seq + 60), [at(60), at(20)]);
    assert_eq!(answer(&mut r, seq + 40), [at(40), at(60), at(20)]);
    assert_eq!(answer(&mut r, seq + 80), [at(80), at(40), at(60), at(20)]);
    // As many as there is room for, and those told least lately make room.
    assert_eq!(answer(&mut r, seq + 100), [at(100), at(80), at(40), at(60)]);
    // One that grows is one block, and first.
    assert_eq!(answer(&mut r, seq + 50), [(seq + 40, seq + 70), at(100), at(80), at(20)]);
    // What advances the acknowledgment is none of its own; the rest is told on, with data as well.
    assert_eq!(answer(&mut r, seq), [(seq + 40, seq + 70), at(100), at(80), at(20)]);
    r.write(id, b"data");
    let out = r.sent();
    assert_eq!((out[0].text.len(), blocks(&out[0]).len()), (4, 4));
    // What was delivered is reported no more.
    assert_eq!(answer(&mut r, seq + 10), [(seq + 40, seq + 70), at(100), at(80)]);
    assert_eq!(answer(&mut r, seq + 30), [at(100), at(80)]);
    assert_eq!(answer(&mut r, seq + 70), [at(100)]);
    assert_eq!(answer(&mut r, seq + 90), []);
}

/// Five segments in flight of which the peer claims to hold some.
fn claimed(held: &[(u32, u32)]) -> (Raw, SocketId, u32) {
    let (mut r, id) = accepted(true);
    r.write(id, &[7; 5000]);
    assert_eq!(r.sent().len(), 5);
    let una = r.ack;
    let held: Vec<_> = held.iter().map(|&(a, b)| (una + a, una + b)).collect();
    r.inject(r.seq, una, Flags::ACK, b"", &sack(&held));
    r.sent();
    (r, id, una)
}

//= https://www.rfc-editor.org/rfc/rfc2018#section-5
//= type=test
//= id=rfc2018-5-3
//= https://www.rfc-editor.org/rfc/rfc2018#section-5.1
//= type=test
//= id=rfc2018-5.1-2
//= https://www.rfc-editor.org/rfc/rfc2018#section-8
//= type=test
//= id=rfc2018-8-4
#[test]
fn after_a_timeout_all_is_sent_again_whatever_was_claimed() {
    for held in [&[(0, 1000)][..], &[(1000, 5000)], &[(0, 1000), (2000, 4000)]] {
        let (mut r, id, una) = claimed(held);
        assert_eq!(r.tcb(id).send_buffer.len(), 5000, "nothing is given up before it is acknowledged");
        let mut again = r.wait(Duration::from_secs(1));
        // Before it a tail loss probe may have left.
        let left_edge = again.iter().find(|s| s.header.seq.get() == una).map(|s| s.text.len());
        assert_eq!(left_edge, Some(1000), "{held:?}");
        let mut next = una;
        let mut seen = Vec::new();
        while next != una + 5000 {
            seen.extend(again.iter().map(|s| s.header.seq.get() - una));
            next += 1000;
            r.ack = next;
            r.send(Flags::ACK, b"");
            again = r.sent();
            if again.is_empty() {
                // It had reported what it now wants: that takes a moment to believe.
                again = r.wait(Duration::from_secs(1));
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [0, 1000, 2000, 3000, 4000], "{held:?}");
        assert_eq!(r.tcb(id).send_buffer.len(), 0);
    }
}

/// Duplicate ACKs with blocks mean what those without mean: one retransmission and the window of a loss, CUBIC's 0.7.
//= https://www.rfc-editor.org/rfc/rfc2018#section-5.1
//= type=test
//= id=rfc2018-5.1-1
#[test]
fn congestion_control_is_as_without_blocks() {
    let mut seen = Vec::new();
    for with in [true, false] {
        let (mut r, id) = accepted(with);
        r.write(id, &[7; 10_000]);
        assert_eq!(r.sent().len(), 10);
        let una = r.ack;
        for n in 1..=3 {
            let options =
                if with { sack(&[(una + 1000, una + 1000 + n * 1000)]) } else { Options::default() };
            r.inject(r.seq, una, Flags::ACK, b"", &options);
            let out = r.sent();
            let first: Vec<_> = out.iter().map(|s| s.header.seq.since(Seq::new(una))).collect();
            assert_eq!(first.contains(&0), n == 3, "{n}: {first:?}");
        }
        let congestion = &r.tcb(id).congestion;
        seen.push((congestion.ssthresh(), congestion.cwnd()));
    }
    assert_eq!(seen, [(7000, 7000), (7000, 7000)]);
}

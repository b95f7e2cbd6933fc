//! More clauses of RFC 9293, each as plainly as it can be shown.

use super::raw::{Raw, Sent};
use super::*;
use crate::seq::Seq;
use crate::sockopt::SocketOptions;
use crate::wire::ip::{self, protocol};
use crate::wire::options::{Options, SackBlocks, Timestamps};
use crate::wire::tcp;

fn raw() -> Raw {
    Raw::new(Config::default())
}

fn with_options(r: &mut Raw, id: SocketId, change: impl FnOnce(&mut SocketOptions)) {
    let mut options = r.host.options(id).unwrap();
    change(&mut options);
    let now = r.now;
    r.host.set_options(id, options, now).unwrap();
}

/// The largest window the stack offers is this, so that a few segments fill it.
fn small_window(octets: u32) -> Raw {
    let base = Config::default();
    let tcp = crate::config::TcpConfig { receive_buffer: octets, ..base.tcp };
    Raw::new(Config { tcp, ..base })
}

fn read(r: &mut Raw, id: SocketId, n: usize) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0; n];
    let got = r.host.try_read(id, &mut buf)?;
    buf.truncate(got);
    Ok(buf)
}

/// A packet of another host, which may speak to any address of ours.
fn packet(src: Address, dst: Address, ports: (u16, u16), seq: u32, ack: u32, flags: Flags) -> Vec<u8> {
    let ip = ip::Header {
        src,
        dst,
        protocol: protocol::TCP,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: src.is_v4(),
        fragment: None,
    };
    let header = tcp::Header {
        src_port: ports.0,
        dst_port: ports.1,
        seq: Seq::new(seq),
        ack: Seq::new(ack),
        flags,
        window: 60_000,
        urgent: 0,
    };
    let mut packet = Vec::new();
    tcp::emit(&ip, &header, &Options::default(), core::iter::empty(), 0, 0, false, &mut packet);
    packet
}

/// All that leaves, with its source and destination.
fn leaves(host: &mut Stack, now: Instant) -> Vec<(Address, Address, Sent)> {
    let mut out = Vec::new();
    drive(
        host,
        now,
        |d| {
            let mut packet = vec![0; d.len()];
            d.copy_to(&mut packet).unwrap();
            let parsed = ip::parse(&packet).unwrap();
            let p = tcp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
            let sent = Sent { header: p.header, options: p.options.clone(), text: p.payload.to_vec() };
            out.push((parsed.header.src, parsed.header.dst, sent));
        },
        |_| {},
    );
    out
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
//= type=test
//= id=MUST-15
#[test]
fn a_peer_without_the_mss_option_gets_what_its_family_takes() {
    let now = Instant::from_secs(1000);
    let six = |last: u16| Address::v6(core::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last));
    for (family, us, them, prefix, mss) in
        [(Family::V4, v4(1), v4(2), 24, 536), (Family::V6, six(1), six(2), 64, 1220)]
    {
        let addresses = vec![Prefix::new(us, prefix)];
        let mut host = Stack::new(Config { addresses, ..Config::default() }, [7; 32]);
        let listener = host.tcp_socket(family);
        host.bind(listener, Endpoint::new(us, 80)).unwrap();
        host.listen(listener, 1).unwrap();
        host.receive(now, Inbound::plain(&packet(them, us, (5000, 80), 1000, 0, Flags::SYN)));
        let iss = leaves(&mut host, now)[0].2.header.seq.get();
        let ack = packet(them, us, (5000, 80), 1001, iss.wrapping_add(1), Flags::ACK);
        host.receive(now, Inbound::plain(&ack));
        let id = host.try_accept(listener).unwrap();
        assert_eq!(host.try_write(id, &[7; 5000], now), Ok(5000));
        let out = leaves(&mut host, now);
        assert!(out.len() > 2 && out.iter().all(|(_, _, s)| s.text.len() <= mss), "{out:?}");
        assert_eq!(out[0].2.text.len(), mss);
    }
}

/// Whatever stands in them, nothing but zeros follows an End of Option List: none is needed.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//= type=test
//= id=MUST-69, MUST-68
#[test]
fn options_fill_their_words() {
    for bits in 0..32u8 {
        let has = |bit: u8| bits & 1 << bit != 0;
        let options = Options {
            mss: has(0).then_some(1460),
            window_scale: has(1).then_some(7),
            sack_permitted: has(2),
            timestamps: has(3).then_some(Timestamps { value: 9, echo: 9 }),
            sack: (0..u32::from(has(4)))
                .map(|n| crate::seq::SeqRange::with_len(Seq::new(n + 1), 9))
                .collect::<SackBlocks>(),
            ..Options::default()
        };
        let mut octets = Vec::new();
        options.emit(&mut octets);
        assert!(octets.len().is_multiple_of(4));
        let mut rest = &octets[..];
        while let Some((&kind, after)) = rest.split_first() {
            rest = match kind {
                0 => {
                    assert!(after.iter().all(|&o| o == 0), "{octets:?}");
                    &[]
                }
                1 => after,
                _ => &rest[usize::from(after[0]).max(2)..],
            };
        }
        assert_eq!(Options::parse(&octets), options);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//= type=test
//= id=REC-1
#[test]
fn windows_have_more_than_sixteen_bits() {
    let mut r = small_window(1 << 20);
    r.syn.window_scale = Some(7);
    r.window = 65_535;
    let id = r.accepted();
    assert_eq!(r.tcb(id).snd.wnd, 65_535 << 7);
    let scale = r.tcb(id).rcv.scale;
    let mut out = Vec::new();
    for _ in 0..4 {
        r.send(Flags::ACK, &[0; 1000]);
        out = r.sent();
    }
    assert!(scale.octets(out[0].header.window) > 0xffff);
    assert!(r.tcb(id).rcv.wnd > 0xffff);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
//= type=test
//= id=MUST-31, MUST-33, MUST-62
#[test]
fn urgent_data_of_any_length_has_its_end_told() {
    for len in [1, 2, 70_000, 200_000] {
        let mut p = Pair::new();
        let (c, s) = p.connected();
        let now = p.now;
        let options = SocketOptions { receive_buffer: 1 << 20, ..p.hosts[1].options(s).unwrap() };
        p.hosts[1].set_options(s, options, now).unwrap();
        assert_eq!(p.hosts[0].try_write_urgent(c, &vec![7; len], now), Ok(len));
        assert_eq!(p.hosts[0].try_write(c, b"behind", now), Ok(6));
        let end = p.now + Duration::from_secs(5);
        p.run(|p| p.now >= end);
        let mut left = len - 1;
        let mut buf = [0; 1000];
        while left > 0 {
            assert_eq!(p.hosts[1].before_mark(s), Ok(Some(left)), "of {len}");
            left -= p.hosts[1].try_read(s, &mut buf).unwrap();
        }
        assert_eq!(p.hosts[1].at_mark(s), Ok(true));
        assert_eq!(p.hosts[1].before_mark(s), Ok(Some(0)));
        assert_eq!(p.hosts[1].try_read(s, &mut buf), Ok(7), "the last urgent octet and what is behind");
        assert_eq!(p.hosts[1].before_mark(s), Ok(None));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1
//= type=test
//= id=MUST-38
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
//= type=test
//= id=MUST-60
#[test]
fn a_silly_window_is_not_filled_at_once() {
    let mut r = raw();
    let id = r.accepted();
    with_options(&mut r, id, |o| o.nodelay = true);
    r.write(id, &[7; 1000]);
    let out = r.sent();
    r.window = 100;
    r.acknowledge(&out);
    r.write(id, &[7; 3000]);
    assert!(r.sent().is_empty(), "100 octets are less than a segment and than half of what the window was");
    let out = r.wait(Duration::from_millis(250));
    assert_eq!(out.len(), 1, "but not for ever");
    assert_eq!(out[0].text.len(), 100);
    r.window = 1000;
    r.acknowledge(&out);
    let out = r.sent();
    assert_eq!((out.len(), out[0].text.len()), (1, 1000), "a full segment leaves at once");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.2
//= type=test
//= id=MUST-39
#[test]
fn the_right_edge_moves_by_a_full_segment_or_not_at_all() {
    let mut r = small_window(10_000);
    let id = r.accepted();
    let edge = |s: &Sent| s.header.ack.get() + u32::from(s.header.window);
    while r.tcb(id).rcv.wnd > 0 {
        r.send(Flags::ACK, &[7; 1000]);
        r.sent();
    }
    let mut last = r.tcb(id).rcv.nxt.get();
    // The program reads by the spoonful; the peer asks in between.
    let mut moved = 0;
    for _ in 0..95 {
        read(&mut r, id, 100).unwrap();
        let seq = r.seq;
        r.inject(seq - 1, r.ack, Flags::ACK, b"x", &Options::default());
        for s in r.sent() {
            let now = edge(&s);
            assert!(now == last || now >= last + 1000, "{} octets", now - last);
            moved += u32::from(now > last);
            last = now;
        }
    }
    assert!(moved > 3);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
//= type=test
//= id=MUST-41
#[test]
fn a_second_passive_open_is_refused_and_leaves_the_first_as_it_was() {
    let mut r = raw();
    let first = r.listen(8);
    r.handshake();
    let second = r.host.tcp_socket(Family::V4);
    with_options(&mut r, second, |o| o.reuse_address = true);
    let to = Endpoint::new(Address::UNSPECIFIED_V4, 80);
    let refused = r.host.bind(second, to).and_then(|()| r.host.listen(second, 8));
    assert_eq!(refused, Err(Error::AddrInUse));
    assert_eq!(r.state(first), State::Listen);
    r.ports.1 = 5001;
    r.seq = 9000;
    r.handshake();
    for _ in 0..2 {
        let id = r.host.try_accept(first).unwrap();
        assert_eq!(r.state(id), State::Established);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
//= type=test
//= id=MUST-42
#[test]
fn a_port_is_listened_at_while_a_connection_is_being_opened_from_it() {
    for state in [State::SynSent, State::SynReceived] {
        let mut r = raw();
        let id = r.host.tcp_socket(Family::V4);
        with_options(&mut r, id, |o| o.reuse_address = true);
        r.host.bind(id, Endpoint::new(v4(1), 4000)).unwrap();
        let now = r.now;
        assert_eq!(r.host.connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
        let syn = r.sent();
        r.ports = (4000, 80);
        if state == State::SynReceived {
            r.send(Flags::SYN, b"");
            assert_eq!(r.sent().len(), 1);
        }
        assert_eq!(r.state(id), state);
        r.ports.1 = 7777;
        (r.seq, r.ack) = (50_000, 0);
        let listener = r.listen(1);
        r.handshake();
        assert!(r.host.try_accept(listener).is_ok());
        assert_eq!(r.state(id), state, "the other is as it was");
        assert_eq!(syn.len(), 1);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
//= type=test
//= id=MUST-45
#[test]
fn a_connection_keeps_the_address_it_began_with() {
    let addresses = vec![Prefix::new(v4(1), 24), Prefix::new(v4(3), 24)];
    let mut host = Stack::new(Config { addresses, ..Config::default() }, [7; 32]);
    let mut now = Instant::from_secs(1000);
    let listener = host.tcp_socket(Family::V4);
    host.bind(listener, Endpoint::new(Address::UNSPECIFIED_V4, 80)).unwrap();
    host.listen(listener, 8).unwrap();
    for us in [v4(1), v4(3)] {
        host.receive(now, Inbound::plain(&packet(v4(2), us, (5000, 80), 1000, 0, Flags::SYN)));
        let mut all = leaves(&mut host, now);
        let iss = all[0].2.header.seq.get();
        let ack = iss.wrapping_add(1);
        host.receive(now, Inbound::plain(&packet(v4(2), us, (5000, 80), 1001, ack, Flags::ACK)));
        let id = host.try_accept(listener).unwrap();
        assert_eq!(host.local_endpoint(id), Ok(Endpoint::new(us, 80)));
        host.try_write(id, b"data", now).unwrap();
        all.extend(leaves(&mut host, now));
        host.receive(now, Inbound::plain(&packet(v4(2), us, (5000, 80), 900, ack, Flags::ACK)));
        all.extend(leaves(&mut host, now));
        now += Duration::from_secs(2);
        host.close(id, now).unwrap();
        all.extend(leaves(&mut host, now));
        host.receive(now, Inbound::plain(&packet(v4(2), us, (5000, 80), 1001, ack, Flags::RST)));
        assert!(all.len() >= 4, "{all:?}");
        assert!(all.iter().all(|(src, dst, _)| (*src, *dst) == (us, v4(2))), "{all:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.5.3
//= type=test
//= id=SHLD-2
#[test]
fn a_reset_may_carry_text() {
    let mut r = raw();
    let id = r.accepted();
    r.send(Flags::RST, b"the reason");
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(read(&mut r, id, 20), Err(Error::Reset));
    assert!(r.sent().is_empty());
}

/// A timestamp beyond the last one makes a SYN believable whatever its number, and an older one does not.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
//= type=test
//= id=SHLD-4
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-12
#[test]
fn timestamps_cut_time_wait_short() {
    for (clock, believed) in [(1001, true), (999, false)] {
        let mut r = raw();
        r.clock = Some(1000);
        let id = r.accepted();
        let now = r.now;
        r.host.close(id, now).unwrap();
        let fin = r.sent();
        r.acknowledge(&fin);
        r.send(Flags::FIN | Flags::ACK, b"");
        r.sent();
        assert_eq!(r.host.time_waits.len(), 1);
        let last = Seq::new(r.ack);
        r.clock = Some(clock);
        r.seq = r.seq.wrapping_sub(500_000);
        r.ack = 0;
        r.send(Flags::SYN, b"");
        let out = r.sent();
        assert_eq!((out.len(), r.host.time_waits.len()), (usize::from(believed), u32::from(!believed)));
        assert!(out.iter().all(|s| s.is(Flags::SYN | Flags::ACK) && s.header.seq.after(last)), "{out:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
//= type=test
//= id=SHLD-15
#[test]
fn nothing_new_is_sent_into_a_window_that_shrank() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[7; 20_000]);
    assert_eq!(r.sent().len(), 10);
    let nxt = r.tcb(id).snd.nxt;
    r.window = 5000;
    r.send(Flags::ACK, b"");
    r.wait(Duration::from_secs(20));
    assert_eq!(r.tcb(id).snd.nxt, nxt);
    // Half of it arrived; still more is outstanding than the window takes.
    r.ack = r.ack.wrapping_add(4000);
    r.send(Flags::ACK, b"");
    r.wait(Duration::from_secs(20));
    assert_eq!(r.tcb(id).snd.nxt, nxt);
    r.ack = nxt.get();
    r.send(Flags::ACK, b"");
    r.sent();
    assert!(r.tcb(id).snd.nxt.after(nxt), "now there is room");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
//= type=test
//= id=SHLD-17
#[test]
fn what_lies_beyond_the_window_times_no_connection_out() {
    let mut r = raw();
    let id = r.accepted();
    with_options(&mut r, id, |o| o.user_timeout = Some(Duration::from_secs(30)));
    r.write(id, &[7; 8000]);
    assert_eq!(r.sent().len(), 8);
    r.window = 0;
    r.send(Flags::ACK, b"");
    let began = r.now;
    while r.now.saturating_since(began) < Duration::from_secs(3000) {
        if !r.wait(Duration::from_millis(500)).is_empty() {
            r.send(Flags::ACK, b"");
        }
        assert_eq!(r.state(id), State::Established);
    }
    assert_eq!(r.tcb(id).snd.outstanding(), 8000);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
//= type=test
//= id=SHLD-27, SHLD-28
#[test]
fn small_writes_leave_in_full_segments() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, b"in flight");
    let first = r.sent();
    for _ in 0..50 {
        r.write(id, &[7; 100]);
    }
    let mut sizes: Vec<_> = r.sent().iter().map(|s| s.text.len()).collect();
    r.acknowledge(&first);
    sizes.extend(r.sent().iter().map(|s| s.text.len()));
    assert_eq!(sizes, [1000; 5]);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
//= type=test
//= id=STEP-3.10.7.2-5
#[test]
fn a_request_takes_the_ack_of_its_syn_and_no_other() {
    let mut r = raw();
    let listener = r.listen(8);
    r.send(Flags::SYN, b"");
    let iss = r.sent()[0].header.seq.get();
    for bad in [iss, iss.wrapping_add(2)] {
        r.inject(1001, bad, Flags::ACK, b"", &Options::default());
        let out = r.sent();
        assert!(out.len() == 1 && out[0].is(Flags::RST) && out[0].header.seq.get() == bad, "{out:?}");
        assert_eq!(r.host.try_accept(listener), Err(Error::WouldBlock));
    }
    r.inject(1001, iss.wrapping_add(1), Flags::ACK, b"", &Options::default());
    let id = r.host.try_accept(listener).unwrap();
    assert_eq!(r.tcb(id).snd.nxt.get(), iss.wrapping_add(1));
}

/// Not in TIME-WAIT: RFC 1337.
#[test]
fn a_reset_ends_closing_and_last_ack() {
    for closing in [true, false] {
        let mut r = raw();
        let id = r.accepted();
        let now = r.now;
        if closing {
            r.host.shutdown(id, Shutdown::Write, now).unwrap();
            r.sent();
        }
        r.send(Flags::FIN | Flags::ACK, b"");
        r.host.shutdown(id, Shutdown::Write, now).unwrap();
        r.sent();
        assert_eq!(r.state(id), if closing { State::Closing } else { State::LastAck });
        r.send(Flags::RST, b"");
        assert_eq!(r.state(id), State::Closed);
        assert!(r.wait(Duration::from_secs(300)).is_empty());
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-27, STEP-3.10.7.4-29
#[test]
fn text_is_taken_as_far_as_the_window_goes() {
    let mut r = small_window(2920);
    let id = r.accepted();
    let seq = r.seq;
    r.send(Flags::ACK, &[1; 1200]);
    let tcb = r.tcb(id);
    assert_eq!((tcb.rcv.nxt.get(), tcb.rcv.wnd), (seq + 1200, 1720));
    r.send(Flags::ACK, &[2; 2000]);
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.ack.get(), out[0].header.window), (1, seq + 2920, 0));
    let text = read(&mut r, id, 3000).unwrap();
    assert_eq!((text.len(), text[2919]), (2920, 2));
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.window), (1, 2920));
    assert_eq!(r.tcb(id).rcv.wnd, 2920);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-31
#[test]
fn an_acknowledgment_goes_with_what_leaves_anyway() {
    let mut r = raw();
    let id = r.accepted();
    for _ in 0..20 {
        r.send(Flags::ACK, &[7; 100]);
        r.write(id, b"answer");
        let out = r.sent();
        assert_eq!(out.len(), 1, "{out:?}");
        assert_eq!((&out[0].text[..], out[0].header.ack.get()), (&b"answer"[..], r.seq));
        r.ack = r.ack.wrapping_add(6);
        r.send(Flags::ACK, b"");
        assert!(r.wait(Duration::from_millis(100)).is_empty(), "nothing is owed any more");
    }
}

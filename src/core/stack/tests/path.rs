//! How far the packets of a UDP socket go: whole or cut, and over how many hops.

use super::*;
use crate::addr::Family;
use crate::sockopt::{PathMtuDiscovery, SocketOptions};
use crate::wire::ip;

const NOW: Instant = Instant::from_secs(1);

/// A socket on a device of 1500 octets, whose path to 10.7.0.9 takes 1000.
fn socket(change: impl FnOnce(&mut SocketOptions)) -> (Stack, SocketId) {
    let config = Config { addresses: vec![Prefix::new(v4(1), 24)], ..Config::default() };
    let mut stack = Stack::new(config, [1; 32]);
    let id = stack.udp_socket(Family::V4);
    let mut options = stack.options(id).unwrap();
    change(&mut options);
    stack.set_options(id, options, NOW).unwrap();
    assert_eq!(stack.path_mtu.update(v4(9), 1000, 1500, NOW, 1500), Some(1000));
    (stack, id)
}

/// The packets of one datagram: length, DF and TTL of each.
fn send(
    stack: &mut Stack,
    id: SocketId,
    len: usize,
    to: Address,
) -> core::result::Result<Vec<(usize, bool, u8)>, Error> {
    stack.try_send_to(id, &vec![0; len], Some(Endpoint::new(to, 53)), NOW)?;
    let mut packets = Vec::new();
    while let Some(datagram) = stack.poll_transmit(NOW) {
        let header = ip::parse(datagram.head).unwrap().header;
        packets.push((datagram.head.len(), header.dont_fragment, header.hop_limit));
    }
    Ok(packets)
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.3
//= type=test
//= id=rfc1122-3.3.3-1
//= https://www.rfc-editor.org/rfc/rfc4821#section-4
//= type=test
//= id=rfc4821-4-13
//= https://www.rfc-editor.org/rfc/rfc4821#section-5.2
//= type=test
//= id=rfc4821-5.2-5
//= https://www.rfc-editor.org/rfc/rfc4821#section-8
//= type=test
//= id=rfc4821-8-3, rfc4821-8-4
//= https://www.rfc-editor.org/rfc/rfc4821#section-9
//= type=test
//= id=rfc4821-9-1, rfc4821-9-2, rfc4821-9-3, rfc4821-9-4
#[test]
fn larger_than_the_path() {
    use PathMtuDiscovery::{Do, Dont, Probe, Want};
    const TOO_LONG: core::result::Result<Vec<(usize, bool, u8)>, Error> = Err(Error::MessageTooLong);
    let cut = || Ok(vec![(996, false, 64), (53, false, 64)]);
    let whole = |len, df| Ok(vec![(len, df, 64)]);
    for (way, fits, one_more, of_the_device, more_than_that) in [
        (Dont, whole(1000, false), cut(), 2, 2),
        (Want, whole(1000, true), cut(), 2, 2),
        (Do, whole(1000, true), TOO_LONG, 0, 0),
        (Probe, whole(1000, true), whole(1029, true), 1, 0),
    ] {
        let (mut stack, id) = socket(|o| o.path_mtu_discovery = way);
        let mut count = |len| send(&mut stack, id, len, v4(9)).map_or(0, |packets| packets.len());
        assert_eq!((count(1472), count(1473)), (of_the_device, more_than_that), "{way:?}");
        assert_eq!(send(&mut stack, id, 972, v4(9)), fits, "{way:?}");
        assert_eq!(send(&mut stack, id, 1001, v4(9)), one_more, "{way:?}");
        // Of another path nothing less than the device is known.
        assert_eq!(send(&mut stack, id, 1001, v4(8)), whole(1029, way != Dont), "{way:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.7
//= type=test
//= id=rfc1122-3.2.1.7-1
#[test]
fn multicast_goes_no_further_than_asked_for() {
    let group = Address::from_v4_octets([239, 1, 2, 3]);
    let (mut stack, id) = socket(|o| o.hop_limit = 33);
    assert_eq!(send(&mut stack, id, 0, group), Ok(vec![(28, true, 1)]), "RFC 1112 §6.1");
    assert_eq!(send(&mut stack, id, 0, v4(8)), Ok(vec![(28, true, 33)]));
    let (mut stack, id) = socket(|o| o.multicast_hops = 5);
    assert_eq!(send(&mut stack, id, 0, group), Ok(vec![(28, true, 5)]));
    let (mut stack, id) = socket(|o| o.multicast_hops = 0);
    assert_eq!(send(&mut stack, id, 0, group), Ok(vec![]), "it stays on the host");
}

/// What is lost to the path all leaves again, and no probe comes between although its timer ran when the router spoke.
//= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
//= type=test
//= id=rfc8985-7.2-4
#[test]
fn what_is_lost_to_the_path_is_not_probed() {
    let mut r = super::raw::Raw::new(Config::default());
    r.syn.sack_permitted = true;
    let id = r.accepted();
    r.write(id, &pattern(30_000));
    let sent = r.sent();
    r.unreachable(r.ack, 4, 600);
    let again = r.sent();
    assert!(again.iter().all(|s| s.text.len() <= 560));
    let octets = |sent: &[super::raw::Sent]| sent.iter().map(|s| s.text.len() as u32).sum::<u32>();
    assert!(octets(&again) < octets(&sent), "the window does not let all of it go at once");
    assert_eq!(r.wait(Duration::from_millis(100)).len(), 0);
    r.acknowledge(&again);
    let next = r.sent();
    assert_eq!(next[0].header.seq.get(), r.ack, "what is lost goes first");
    assert_eq!(r.host.counters().tcp_timeouts, 0);
}

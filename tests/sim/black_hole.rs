//! A link that swallows large packets, and no router that tells.

use tunstack::core::packet::Sent;
use tunstack::core::tcp::trace::What;
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::record::Note;

use crate::pair::{CLIENT, Kind, Pair, V4, V6};

/// The longest packet of the client that reached the link's end.
fn longest(pair: &Pair) -> usize {
    let records = pair.world.records().filter(|record| record.peer == CLIENT);
    let carried = records.filter(|r| matches!(r.note, Note::Sent(_, Some(fate)) if fate.loss.is_none()));
    carried.map(|record| record.packet.len()).max().unwrap_or(0)
}

//= https://www.rfc-editor.org/rfc/rfc4821#section-7.7
//= type=test
//# If there is a full-stop timeout and there was not an ICMP message indicating a reason (PTB, Net
//# unreachable, etc., or the ICMP message was ignored for some reason), the RECOMMENDED first recovery
//# action is to treat this as a detected ICMP black hole as defined in [RFC2923].
#[test]
fn a_transfer_through_a_black_hole_completes() {
    // Whether so much is found to pass while the transfer lasts: each probe that fails has to be followed by a wait.
    for (addresses, mtu, found) in
        [(V4, 1200, 1150), (V4, 600, 500), (V4, 1499, 1200), (V6, 1300, 1280), (V6, 1480, 1380)]
    {
        let link = format!("10mbit,10ms,mtu={mtu}");
        let (client, server) = (Behaviour::exchange(400_000, 1_000), Behaviour::exchange(1_000, 400_000));
        let pair = Pair::at(addresses, (Kind::Ours, Kind::Ours), 1, &link, client, server).run();
        pair.assert_complete(400_000, 1_000);
        let counters = pair.counters(CLIENT);
        assert!(counters.tcp_black_holes >= 1, "{mtu}: {counters:?}");
        let longest = longest(&pair);
        assert!(longest <= mtu, "{mtu}: {longest}");
        assert!(longest >= found, "{mtu}: {longest}");
        // Found while the window is small, most of it costs no time-outs.
        assert!(counters.tcp_timeouts <= 12, "{mtu}: {}", counters.tcp_timeouts);
    }
}

/// Probes that are lost are no congestion: between them nothing is taken from the window but what the black hole took.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2
//= type=test
//# In this case alone, the loss SHOULD NOT be interpreted as congestion signal.
#[test]
fn lost_probes_reduce_nothing() {
    let (client, server) = (Behaviour::exchange(400_000, 1_000), Behaviour::exchange(1_000, 400_000));
    let pair = Pair::at(V4, (Kind::Ours, Kind::Ours), 1, "10mbit,10ms,mtu=1200", client, server).run();
    pair.assert_complete(400_000, 1_000);
    let counters = pair.counters(CLIENT);
    assert!(counters.tcp_mtu_probe_failures >= 1, "{counters:?}");
    assert_eq!(counters.tcp_fast_retrans, 0, "{counters:?}");
    let sent = pair.world.records().filter(|record| record.peer == CLIENT);
    let probes = sent.filter(|record| match record.note {
        Note::Sent(Some(Sent::Tcp(event)), _) => {
            matches!(event.what, What::Sent(tunstack::core::tcp::trace::Reason::MtuProbe))
        }
        _ => false,
    });
    assert_eq!(probes.count() as u64, counters.tcp_mtu_probes);
}

//! What no script can time: a segment and a call between two polls.

use super::raw::Raw;
use super::*;
use crate::config::EcnFeedback;
use crate::wire::options::Options;

//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
//= type=test
//= id=rfc9768-3.2.2.1-2
#[test]
fn the_ack_that_tells_of_the_syn_ack_leaves_before_data() {
    let mut config = Config::default();
    config.tcp.ecn_outgoing = EcnFeedback::Accurate;
    let mut r = Raw::new(config);
    let (id, syn) = r.connect();
    assert_eq!(syn.header.flags.ace(), 7);
    let ack = syn.header.seq.get().wrapping_add(1);
    r.inject(5000, ack, Flags::SYN | Flags::ACK | Flags::from_ace(0b010), b"", &Options::default());
    // Data is there before anything has left.
    let now = r.now;
    assert_eq!(r.host.try_write(id, b"abc", now), Ok(3));
    let out = r.sent();
    let seen: Vec<_> = out.iter().map(|s| (s.text.len(), s.header.flags.ace())).collect();
    assert_eq!(seen, [(0, 0b010), (3, 5)]);
}

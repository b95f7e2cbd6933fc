//! RACK-TLP: what its scripts cannot see.

use super::raw::{Raw, sack};
use super::*;
use crate::tcp::timers::Timer;
use crate::wire::options::Options;

//= https://www.rfc-editor.org/rfc/rfc8985#section-8
//= type=test
//# When arming a RACK reordering timer or TLP PTO timer, the sender SHOULD cancel any other pending
//# timers.
#[test]
fn of_the_three_timers_one_is_armed() {
    let mut r = Raw::new(Config::default());
    r.syn = Options { mss: Some(1000), sack_permitted: true, ..Options::default() };
    let listener = r.listen(1);
    r.send(Flags::SYN, b"");
    r.ack = r.sent()[0].header.seq.get().wrapping_add(1);
    r.now += Duration::from_millis(100);
    r.send(Flags::ACK, b"");
    let id = r.host.try_accept(listener).unwrap();
    r.write(id, &[7; 2000]);
    assert_eq!(r.sent().len(), 2);
    let armed = |r: &mut Raw| {
        let timers = [Timer::Rto, Timer::Tlp, Timer::Reordering];
        timers.map(|timer| r.tcb(id).timers.is_armed(timer))
    };
    assert_eq!(armed(&mut r), [false, true, false], "a probe");
    r.now += Duration::from_millis(100);
    let second = r.ack.wrapping_add(1000);
    r.inject(r.seq, r.ack, Flags::ACK, b"", &sack(&[(second, second.wrapping_add(1000))]));
    assert_eq!(armed(&mut r), [false, false, true], "the first may be late");
    let resent = r.wait(Duration::from_millis(99));
    assert_eq!(resent.len(), 1, "it was not");
    assert_eq!(armed(&mut r), [true, false, false]);
}

//! Clauses of RFC 5961 that `arrives` does not show: how often it is answered.

use super::raw::Raw;
use super::*;
use crate::config::TcpConfig;
use crate::wire::options::Options;

//= https://www.rfc-editor.org/rfc/rfc5961#section-7
//= type=test
//= id=rfc5961-7-1, rfc5961-7-2, rfc5961-7-3
#[test]
fn challenges_are_limited_and_the_limit_is_the_administrators() {
    for (limit, seconds) in [(10, 5), (1, 5), (3, 60), (100, 1)] {
        let config = Config::default();
        let tcp = TcpConfig {
            challenge_limit: limit,
            challenge_interval: Duration::from_secs(seconds),
            ..config.tcp
        };
        let mut r = Raw::new(Config { tcp, ..config });
        let id = r.accepted();
        let (seq, ack) = (r.seq, r.ack);
        for flood in 1..=2 {
            let mut acks = 0;
            for n in 0..1000 {
                // A reset in the window, a SYN, an ACK of what was never sent: each asks for one.
                let (at, acked, flags) = [
                    (seq + 1, ack, Flags::RST),
                    (seq, ack, Flags::SYN),
                    (seq, ack.wrapping_add(1000), Flags::ACK),
                ][n % 3];
                r.inject(at, acked, flags, b"", &Options::default());
                acks += r.sent().len();
            }
            assert_eq!(acks, usize::from(limit), "flood {flood}");
            r.now += Duration::from_secs(seconds);
        }
        assert_eq!(r.state(id), State::Established);
    }
}

//! The TCP User Timeout Option.

use super::raw::Raw;
use super::*;
use crate::sockopt::SocketOptions;
use crate::user_timeout::{UserTimeout, UserTimeoutOption};
use crate::wire::options::Options;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn raw(change: impl FnOnce(&mut Config)) -> Raw {
    let mut config = Config::default();
    config.tcp.user_timeout_option.enabled = true;
    change(&mut config);
    Raw::new(config)
}

/// A connection whose peer has advertised `field`.
fn told(r: &mut Raw, field: u16) -> SocketId {
    let id = r.accepted();
    tell(r, field);
    id
}

fn tell(r: &mut Raw, field: u16) {
    let options = Options { user_timeout: Some(field), ..Options::default() };
    r.inject(r.seq, r.ack, Flags::ACK, b"", &options);
}

fn with_options(r: &mut Raw, id: SocketId, change: impl FnOnce(&mut SocketOptions)) {
    let mut options = r.host.options(id).unwrap();
    change(&mut options);
    let now = r.now;
    r.host.set_options(id, options, now).unwrap();
}

fn in_force(r: &Raw, id: SocketId) -> Duration {
    r.host.tcp_info(id).unwrap().user_timeout
}

//= https://www.rfc-editor.org/rfc/rfc5482#section-3
//= type=test
//= id=rfc5482-3-2, rfc5482-3-6
//= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
//= type=test
//= id=rfc5482-3.1-4, rfc5482-3.1-8
#[test]
fn settings_of_the_stack_hold_for_all_connections() {
    let mut r = raw(|config| {
        config.tcp.user_timeout_option.advertised = UserTimeout::new(secs(150));
        config.tcp.user_timeout_min = secs(200);
        config.tcp.user_timeout_max = secs(400);
    });
    let id = told(&mut r, 10);
    assert_eq!(in_force(&r, id), secs(200), "L_LIMIT");
    tell(&mut r, 300);
    assert_eq!(in_force(&r, id), secs(300));
    tell(&mut r, 0x8000 | 60);
    assert_eq!(in_force(&r, id), secs(400), "U_LIMIT");
    assert_eq!(r.host.tcp_info(id).unwrap().peer_user_timeout, Some(secs(3600)));
    r.write(id, b"tells");
    assert_eq!(r.sent()[0].options.user_timeout, Some(150));

    let mut off = Raw::new(Config::default());
    assert_eq!(Config::default().tcp.user_timeout_option, UserTimeoutOption::default());
    let id = told(&mut off, 300);
    assert_eq!(in_force(&off, id), Config::default().tcp.r2);
    assert_eq!(off.host.tcp_info(id).unwrap().peer_user_timeout, None);

    let mut fixed = raw(|config| config.tcp.user_timeout_option.changeable = Some(false));
    let id = told(&mut fixed, 300);
    assert_eq!(in_force(&fixed, id), Config::default().tcp.r2);
}

//= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
//= type=test
//= id=rfc5482-3.1-11
#[test]
fn the_lower_limit_is_above_the_retransmission_timeout() {
    let mut r = raw(|config| {
        config.tcp.user_timeout_option.advertised = UserTimeout::new(secs(1));
        config.tcp.user_timeout_min = secs(1);
    });
    let id = told(&mut r, 1);
    r.write(id, b"lost");
    let mut seen = 0;
    for _ in 0..100 {
        r.wait(Duration::from_millis(500));
        if r.state(id) == State::Closed {
            break;
        }
        let rto = r.tcb(id).rtt.rto();
        assert!(in_force(&r, id) > rto, "{rto:?}");
        seen += u32::from(rto > secs(1));
    }
    assert!(seen > 0, "it was longer than what was agreed on");
}

/// What the program changes later is told with what leaves next, and the peer's say changes with it.
#[test]
fn a_program_may_change_its_mind() {
    let mut r = raw(|_| {});
    let id = told(&mut r, 2000);
    assert_eq!(in_force(&r, id), secs(2000));
    r.write(id, b"first");
    let first = r.sent();
    r.acknowledge(&first);
    with_options(&mut r, id, |o| o.set_user_timeout(Some(secs(30))));
    assert_eq!(in_force(&r, id), secs(30));
    r.write(id, b"second");
    let second = r.sent();
    assert_eq!(second[0].options.user_timeout, Some(30));
    r.acknowledge(&second);
    with_options(&mut r, id, |o| o.user_timeout_option.changeable = Some(true));
    assert_eq!(in_force(&r, id), secs(2000));
    with_options(&mut r, id, |o| o.user_timeout_option.enabled = false);
    assert_eq!(in_force(&r, id), secs(30));
    r.write(id, b"third");
    assert_eq!(r.sent()[0].options.user_timeout, None, "what was to be told is not any more");
}

/// An agreement that comes while data waits for its ACK counts from when that left.
#[test]
fn what_waits_already_is_given_up_sooner() {
    let mut r = raw(|config| config.tcp.user_timeout_option.advertised = UserTimeout::new(secs(100)));
    let id = r.accepted();
    r.write(id, b"lost");
    let began = r.now;
    r.wait(secs(70));
    let next = r.tcb(id).timers.deadline(crate::tcp::timers::Timer::Rto).unwrap();
    assert!(next > began + secs(100), "{next:?}");
    tell(&mut r, 100);
    r.wait(secs(31));
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.take_error(id), Some(Error::TimedOut));
}

/// A cookie of Fast Open that leaves no room beside it goes first.
#[test]
fn it_gives_way_to_a_cookie() {
    use crate::wire::fast_open::{Cookie, FastOpen};
    let cookie = Cookie::new(&[7; 16]).unwrap();
    let mut options = Options {
        mss: Some(1460),
        sack_permitted: true,
        timestamps: Some(crate::wire::options::Timestamps::default()),
        window_scale: Some(7),
        user_timeout: Some(300),
        ..Options::default()
    };
    options.make_room();
    assert_eq!(options.user_timeout, Some(300));
    options.fast_open = Some(FastOpen { cookie, experimental: false });
    options.make_room();
    assert_eq!(options.user_timeout, None);
    assert!(options.fast_open_fits() && options.emitted_len() == 40);
}

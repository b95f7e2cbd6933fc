use std::time::Duration;

use super::*;
use crate::bsd::abi::{AF_INET, SO_RCVTIMEO, SOCK_DGRAM, SOL_SOCKET};
use crate::bsd::{Errno, Sockets};
use crate::device::outbox::Outbox;
use crate::engine::Engine;
use crate::packetdrill::run::{Options, Verdict, run};

fn engine() -> (Sockets, Stepper) {
    let device = Outbox::new(1500).unwrap();
    let (engine, stepper) = Engine::builder().device(device).seed([1; 32]).start_stepped().unwrap();
    (Sockets::new(&engine), stepper)
}

#[test]
fn a_call_is_done_when_its_time_has_come() {
    let (sys, stepper) = engine();
    let fd = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let mut second = [0; 16];
    second[..8].copy_from_slice(&1i64.to_ne_bytes());
    sys.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second).unwrap();
    let worker = Worker::begin(&stepper, move || sys.read(fd, &mut [0; 1])).unwrap();
    assert!(matches!(worker.progress(), Progress::Waits));
    assert!(stepper.step(Instant::from_secs(2)));
    let Progress::Done(result, when) = worker.progress() else { panic!("a second is over") };
    assert_eq!((result, when), (Err(Errno::AGAIN), Instant::from_secs(1)));
    worker.join();
}

#[test]
fn a_call_without_end_ends_with_the_stepper() {
    for poll in [false, true] {
        let (sys, stepper) = engine();
        let fd = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let worker =
            Worker::begin(
                &stepper,
                move || {
                    if poll { sys.poll(&mut [], -1) } else { sys.read(fd, &mut [0; 1]) }
                },
            );
        let worker = worker.unwrap();
        assert!(!stepper.step(Instant::ZERO + Duration::from_secs(9)));
        assert!(matches!(worker.progress(), Progress::Waits));
        drop(stepper);
        worker.join();
    }
}

#[test]
fn time_goes_on_behind_a_panic() {
    let (_sys, stepper) = engine();
    let worker: Worker<()> = Worker::begin(&stepper, || panic!("on purpose")).unwrap();
    assert!(matches!(worker.progress(), Progress::Panicked));
    worker.join();
}

/// A call on the script's thread wakes the one that waits: that one ends then, whatever comes next and whenever its
/// thread is run.
#[test]
fn a_call_that_another_wakes_ends_at_once() {
    const UP: &str = "\
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 5000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+0.1 < . 1:1(0) ack 1 win 5000
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 1
";
    let ran = |end: &str, then: &str| {
        let text = format!("{UP}+0...{end} read(4, ..., 1000) = 0\n+0.1 shutdown(4, SHUT_RD) = 0\n{then}\n");
        run("test.pkt", &text, &Options::default()).unwrap().verdict
    };
    for _ in 0..50 {
        assert_eq!(ran("0.1", "+1 getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], [4]) = 0"), Verdict::Passed);
        assert_eq!(ran("0.1", "+.2 > P. 1:101(100) ack 1"), Verdict::Passed);
        let Verdict::Failed(failure) =
            ran("0.686", "+1 getsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [0], [4]) = 0")
        else {
            panic!("it ended after 0.1 s")
        };
        assert_eq!(failure.differences[0].2, "0.2 s", "{failure:?}");
    }
}

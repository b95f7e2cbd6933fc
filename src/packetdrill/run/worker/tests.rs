use std::time::Duration;

use super::*;
use crate::bsd::abi::{AF_INET, SO_RCVTIMEO, SOCK_DGRAM, SOL_SOCKET};
use crate::bsd::{Errno, Sockets};
use crate::device::outbox::Outbox;
use crate::engine::Engine;

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

//! Orderly ends.

use std::io::{self, Write};
use std::net::Shutdown;
use std::thread;

use tunstack::core::tcp::state::State;

use crate::ends::{End, Meeting, Pattern, Whose, drain};
use crate::gate::start_gated;
use crate::host::{LONG, kernel_state, start, state, until};

/// More than both buffers hold.
const MUCH: usize = 12_000_000;

/// One end says that it will send no more; the other then sends much, and closes.
pub(crate) fn half_close() {
    let engine = start();
    for meeting in Meeting::all().chain([Meeting::control()]) {
        for server_first in [false, true] {
            let (client, server) = meeting.connect(&engine);
            let (first, last) = if server_first { (&server, &client) } else { (&client, &server) };
            let (few, many) = (Pattern(3), Pattern(4));
            thread::scope(|scope| {
                scope.spawn(|| {
                    few.write(first, 0, 10, 10);
                    first.shutdown(Shutdown::Write).unwrap();
                    let refused = (&mut &*first).write(b"more").unwrap_err();
                    assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
                    many.read_to_end(first, 0, MUCH);
                });
                few.read_to_end(last, 0, 10);
                many.write(last, 0, MUCH, 65_536);
                last.shutdown(Shutdown::Write).unwrap();
            });
            // The end of the data stays the end.
            assert_eq!((drain(first), drain(last)), ((0, Ok(())), (0, Ok(()))));
        }
    }
    engine.shutdown(LONG).unwrap();
}

/// What was written before a close arrives, however much it is.
pub(crate) fn delivers_what_was_written() {
    let engine = start();
    for meeting in Meeting::all() {
        for server_first in [false, true] {
            let (client, server) = meeting.connect(&engine);
            let (first, last) = if server_first { (server, client) } else { (client, server) };
            let data = Pattern(5);
            thread::scope(|scope| {
                scope.spawn(|| {
                    data.write(&first, 0, 1_000_003, 1_000_003);
                    drop(first);
                });
                data.read_to_end(&last, 0, 1_000_003);
            });
        }
    }
    engine.shutdown(LONG).unwrap();
}

/// The FINs cross: both ends go through CLOSING.
pub(crate) fn both_at_once() {
    let (engine, gate) = start_gated();
    for meeting in Meeting::all() {
        let (client, server) = meeting.connect(&engine);
        let (ours, theirs) = if meeting.client == Whose::Ours { (client, server) } else { (server, client) };
        let ends = (theirs.local_addr(), theirs.peer_addr());
        // Nothing is owed by either end: else an ACK would be the first at the gate.
        Pattern(6).write(&ours, 0, 1, 1);
        theirs.peek(&mut [0]).unwrap();
        until("the acknowledgment", || unacknowledged(&ours) == 0);

        gate.close();
        ours.shutdown(Shutdown::Write).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let id = id(&ours);
        let state_of_ours = || engine.sockets().iter().find(|s| s.id == id).unwrap().state;
        until("their FIN", || state_of_ours() == Some(State::Closing));
        assert_eq!(kernel_state(ends.0, ends.1), Some(state::FIN_WAIT_1));
        gate.pass_one();
        until("our FIN at their end", || kernel_state(ends.0, ends.1) == Some(state::CLOSING));
        gate.open();
        until("the end of theirs", || kernel_state(ends.0, ends.1) == Some(state::TIME_WAIT));
        until("the end of ours", || state_of_ours() == Some(State::TimeWait));
        assert_eq!(drain(&ours), (0, Ok(())));
        assert_eq!(drain(&theirs), (1, Ok(())));
    }
    engine.shutdown(LONG).unwrap();
}

fn unacknowledged(end: &End) -> usize {
    match end {
        End::Ours(s) => s.unacknowledged().unwrap(),
        End::Kernels(_) => panic!("it is the kernel's"),
    }
}

fn id(end: &End) -> tunstack::core::stack::SocketId {
    match end {
        End::Ours(s) => s.id(),
        End::Kernels(_) => panic!("it is the kernel's"),
    }
}

//! Programs made by chance: each entry yields its completions, none is lost, none is doubled, and every buffer comes back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::bsd::abi::{SHUT_WR, SOCK_NONBLOCK};
use crate::ring::{Buffer, CancelBuilder, Flags, TimeoutFlags, opcode};

/// One step of a program. Small numbers choose among few things, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Push { what: u8, which: u8, with: u8, flags: u8 },
    Submit,
    Peer { which: u8, len: usize },
    End { which: u8 },
    Connect,
    Wait { n: usize },
    Take,
    Provide,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..18u8, any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(what, which, with, flags)| Step::Push { what, which, with, flags }),
        4 => Just(Step::Submit),
        4 => (any::<u8>(), 1..200usize).prop_map(|(which, len)| Step::Peer { which, len }),
        1 => any::<u8>().prop_map(|which| Step::End { which }),
        1 => Just(Step::Connect),
        1 => (0..4usize).prop_map(|n| Step::Wait { n }),
        2 => Just(Step::Take),
        1 => Just(Step::Provide),
    ]
}

/// What is known of an entry.
#[derive(Debug, Default)]
struct Fate {
    /// It may be silent, or be silenced by one before it.
    silent: bool,
    multishot: bool,
    /// The length of what it was given.
    lent: Option<usize>,
    ends: usize,
}

struct Program {
    host: Host,
    pairs: Vec<(RawFd, RawFd)>,
    listener: RawFd,
    address: SocketAddr,
    fates: BTreeMap<u64, Fate>,
    linked: bool,
    provided: usize,
    brought: usize,
}

impl Program {
    fn new() -> Self {
        let mut host = Host::with(|sys| Ring::builder().cq_entries(8).build(sys, 8).unwrap());
        let pairs = (0..3).map(|_| host.pair()).collect();
        let (listener, address) = host.listener();
        host.ring.register_buffers(1, 64).unwrap();
        let (fates, linked) = (BTreeMap::new(), false);
        Self { host, pairs, listener, address, fates, linked, provided: 0, brought: 0 }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Push { what, which, with, flags } => self.push(what, which, with, flags),
            Step::Submit => self.submit(),
            Step::Peer { which, len } => {
                let (peer, _) = self.pairs[usize::from(which) % 3];
                // After the end of its sending it fails, which is fine.
                let _: crate::bsd::Result<usize> =
                    self.host.sys.send(peer, &vec![1; len], MsgFlags::DONTWAIT);
            }
            Step::End { which } => {
                let (peer, _) = self.pairs[usize::from(which) % 3];
                self.host.sys.shutdown(peer, SHUT_WR).unwrap();
            }
            Step::Connect => {
                let client = self.host.sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
                assert_eq!(self.host.sys.connect(client, &self.address), Err(Errno::INPROGRESS));
            }
            Step::Wait { n } => {
                let waited = self.host.ring.wait(n, Some(SHORT));
                assert!(matches!(waited, Ok(()) | Err(Errno::TIME | Errno::DEADLK)), "{waited:?}");
            }
            Step::Take => self.take(),
            Step::Provide => {
                if self.host.ring.provide(1, 0, vec![0; 32]).is_ok() {
                    self.provided += 1;
                }
            }
        }
    }

    fn push(&mut self, what: u8, which: u8, with: u8, flags: u8) {
        let (_, fd) = self.pairs[usize::from(which) % 3];
        let target = u64::from(with) % (self.fates.len() as u64 + 1);
        let time = if with.is_multiple_of(2) { Duration::from_micros(100) } else { LONG };
        let len = usize::from(with) + 1;
        let all = if with.is_multiple_of(3) { ALL } else { NONE };
        let mut fate = Fate::default();
        let entry = match what {
            0 | 1 => opcode::nop(),
            2 | 3 => opcode::recv(fd, vec![0; len], all),
            4 => opcode::read(fd, vec![0; len]),
            5 => opcode::recv_multi(fd, 1, NONE),
            6 => opcode::recv_select(fd, 1, all),
            7 => opcode::send(fd, vec![0; len], all),
            8 => opcode::accept(self.listener, 0),
            9 => opcode::accept_multi(self.listener, 0),
            10 => opcode::timeout(time, u32::from(with % 4), TimeoutFlags::empty()),
            11 => opcode::timeout(time, u32::from(with % 4) + 1, TimeoutFlags::MULTISHOT),
            12 => opcode::link_timeout(time),
            13 => opcode::poll_add(fd, PollEvents::IN),
            14 => opcode::poll_add_multi(fd, PollEvents::IN),
            15 => opcode::async_cancel(CancelBuilder::user_data(target)),
            16 => opcode::timeout_remove(target),
            _ => opcode::recv(-1, vec![0; len], NONE),
        };
        fate.lent = matches!(what, 2 | 3 | 4 | 7 | 17..).then_some(len);
        fate.multishot = matches!(what, 5 | 9 | 11 | 14);
        // Drains are rare: each one makes all wait.
        let mut how = Flags::empty();
        how.set(Flags::IO_LINK, flags.is_multiple_of(4));
        how.set(Flags::IO_HARDLINK, flags.is_multiple_of(9));
        // What a silent one brings is lost, and a group's buffer would be missed.
        how.set(Flags::SKIP_SUCCESS, flags.is_multiple_of(7) && what != 6);
        how.set(Flags::IO_DRAIN, flags.is_multiple_of(61));
        let user_data = self.fates.len() as u64;
        let Ok(()) = self.host.ring.submission().push(entry.user_data(user_data).flags(how)) else { return };
        // One that fails in silence takes those behind it along.
        let before = user_data.checked_sub(1).map(|n| &self.fates[&n]);
        fate.silent = how.contains(Flags::SKIP_SUCCESS) || self.linked && before.is_some_and(|f| f.silent);
        self.linked = how.links();
        self.fates.insert(user_data, fate);
    }

    fn submit(&mut self) {
        match self.host.ring.submit() {
            Ok(_) => self.linked &= !self.host.ring.submission().is_empty(),
            Err(error) => assert_eq!(error, Errno::BUSY),
        }
    }

    fn take(&mut self) {
        for completion in self.host.completions() {
            let fate = self.fates.get_mut(&completion.user_data).expect("of an entry");
            assert_eq!(fate.ends, 0, "nothing comes after the last: {completion:?}");
            assert!(fate.multishot || !completion.more(), "{completion:?}");
            fate.ends += usize::from(!completion.more());
            if completion.buffer_id().is_some() {
                self.brought += 1;
                assert_eq!(completion.into_buffer().len(), 32);
                continue;
            }
            let back = match &completion.buffer {
                Buffer::Received(buffer) => Some(buffer.len()),
                Buffer::Sent(data) => Some(data.len()),
                _ => None,
            };
            assert_eq!(back, fate.lent, "{completion:?}");
        }
    }

    /// Ends all that waits, and counts.
    fn end(mut self) {
        while !self.host.ring.submission().is_empty() {
            self.submit();
            self.take();
        }
        for _ in 0..10_000 {
            if self.host.ring.outstanding() == 0 {
                break;
            }
            // What a drain held up begins now, and is ended the next time.
            self.host.ring.cancel(CancelBuilder::any()).unwrap();
            self.take();
        }
        assert_eq!(self.host.ring.outstanding(), 0);
        self.take();
        for (user_data, fate) in &self.fates {
            assert!(fate.ends == 1 || fate.silent && fate.ends == 0, "{user_data}: {fate:?}");
        }
        assert_eq!(self.brought + self.host.ring.buffers(1), self.provided, "a buffer is in one place");
        for (a, b) in &self.pairs {
            assert_eq!((self.host.waiters(*a), self.host.waiters(*b)), (1, 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn each_entry_yields_its_completions(steps in proptest::collection::vec(step(), 1..200)) {
        let mut program = Program::new();
        for step in steps {
            program.run(step);
        }
        program.end();
    }
}

//! Two engines on a pipe, and programs on them. The engines run on the real clock, so no test asks how long
//! something took; each waits for what must come, and a limit far beyond that turns a hang into a failure.

mod datagram;
mod fast_open;
mod listener;
mod shutdown;
mod stream;
mod stress;

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tunstack_core::addr::Prefix;
use tunstack_core::config::Config;

use super::{TcpListener, TcpStream};
use crate::device::pipe::Pipe;
use crate::engine::Engine;
use crate::engine::clock::Clock;
use crate::engine::waiters::Parker;

/// What a call gives once its engine is shut down.
pub(crate) const ESHUTDOWN: Option<i32> = Some(108);

/// For calls that must end but not by this.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// For calls that must end by this.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// `left` is 10.7.0.1 and fd00::1, `right` is 10.7.0.2 and fd00::2.
pub(crate) struct Pair {
    pub(crate) left: Engine,
    pub(crate) right: Engine,
}

pub(crate) fn pair() -> Pair {
    let (a, b) = Pipe::pair(1500).unwrap();
    let engine = |device: Pipe, last: u8| {
        Engine::builder().device(device).config(host(last)).seed([last; 32]).start().unwrap()
    };
    Pair { left: engine(a, 1), right: engine(b, 2) }
}

fn host(last: u8) -> Config {
    let v4: IpAddr = [10, 7, 0, last].into();
    let v6: IpAddr = [0xfd00, 0, 0, 0, 0, 0, 0, last.into()].into();
    let addresses = vec![Prefix::new(v4.into(), 24), Prefix::new(v6.into(), 64)];
    Config { addresses, ..Config::default() }
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Pair {
    /// A connection from the left to a listener on the right that takes no other.
    pub(crate) fn connected(&self) -> (TcpStream, TcpStream) {
        let listener = self.right.listen("10.7.0.2:0").unwrap();
        self.connect_to(&listener)
    }

    pub(crate) fn connect_to(&self, listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = self.left.connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        (client, server)
    }
}

/// Runs a test on a thread of its own, so that it can fail instead of hang.
pub(crate) fn limited(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = channel();
    let thread = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match wait.recv_timeout(2 * LONG) {
        Ok(()) => thread.join().unwrap(),
        Err(RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}

/// Runs a task on this thread.
pub(crate) fn block_on<T>(task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    let (parker, clock) = (Parker::current(), Clock::start());
    let waker = Waker::from(parker.clone());
    loop {
        if let Poll::Ready(value) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        parker.wait(&clock, None);
    }
}

/// Reads to the end of the data as a task does.
async fn read_to_end(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buf = [0; 4096];
    loop {
        match poll_fn(|cx| stream.poll_read(cx, &mut buf)).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

/// Octets in which a swap, a loss or a repetition shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

//! What tests of the calls begin with.

use super::Sockets;
use super::abi::{AF_INET, SOCK_STREAM};
use crate::device::pipe::Pipe;
use crate::engine::Engine;

/// A stack that has nobody but itself to talk to. The other end of its device is to be kept.
pub(super) fn alone() -> (Sockets, Pipe) {
    let (device, other) = Pipe::pair(1500).unwrap();
    let engine = Engine::builder().device(device).start().unwrap();
    (Sockets::new(&engine), other)
}

/// A listener with options set, a connection to it, and both ends.
pub(super) fn connection(sys: &Sockets, prepare: impl FnOnce(i32)) -> (i32, i32, i32) {
    let listener = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    prepare(listener);
    sys.bind(listener, &"127.0.0.1:7".parse().unwrap()).unwrap();
    sys.listen(listener, 8).unwrap();
    let client = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.connect(client, &"127.0.0.1:7".parse().unwrap()).unwrap();
    let (server, _) = sys.accept(listener).unwrap();
    (listener, client, server)
}

//! What a state is made of, and what is seen of it.

use libc::{POLLRDHUP, SHUT_WR};

use super::lab::{Family, Lab};
use super::sys::Fd;
use super::table::Table;

/// A name and the way to a socket in that state.
pub(crate) type State = (&'static str, fn(&Lab) -> Scene);

/// A name and what is done with a socket; it says what came of it.
pub(crate) type Call = (&'static str, fn(&Lab, &Scene) -> String);

/// A socket in a state, and its peer where there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) fd: Fd,
    pub(crate) peer: Option<Fd>,
}

impl Scene {
    pub(crate) const fn alone(fd: Fd) -> Self {
        Self { fd, peer: None }
    }

    pub(crate) const fn with(fd: Fd, peer: Fd) -> Self {
        Self { fd, peer: Some(peer) }
    }

    /// A TCP connection.
    pub(crate) fn pair(lab: &Lab) -> Self {
        let (fd, peer) = lab.pair(Family::V4);
        Self::with(fd, peer)
    }

    /// The other end is looked at.
    pub(crate) fn turned(self) -> Self {
        Self::with(self.peer(), self.fd)
    }

    pub(crate) fn peer(&self) -> Fd {
        self.peer.expect("a peer")
    }

    /// The peer sends `hello`.
    pub(crate) fn unread(self, lab: &Lab) -> Self {
        lab.send_all(self.peer(), b"hello");
        lab.until_unread(self.fd, 5);
        self
    }

    pub(crate) fn peer_shut(self, lab: &Lab) -> Self {
        lab.sys().shutdown(self.peer(), SHUT_WR).unwrap();
        lab.until(self.fd, POLLRDHUP);
        self
    }

    pub(crate) fn shut(self, lab: &Lab, how: i32) -> Self {
        lab.sys().shutdown(self.fd, how).unwrap();
        lab.settled(&[self.fd]);
        self
    }

    /// The peer resets the connection and is gone.
    pub(crate) fn reset(self, lab: &Lab) -> Self {
        lab.reset(self.peer());
        lab.until_gone(self.fd);
        Self::alone(self.fd)
    }
}

/// A row for each call in each state: what the call gives, how the socket is ready then, which error waits, how it is
/// ready when that is taken, and how the peer is ready.
pub(crate) fn product(table: &mut Table, states: &[State], calls: &[Call]) {
    for &(state, make) in states {
        for &(call, make_call) in calls {
            table.row(format!("{state}: {call}"), move |lab| {
                let scene = make(lab);
                lab.settled(&[scene.fd]);
                let gave = make_call(lab, &scene);
                format!("{gave}; {}", seen(lab, &scene))
            });
        }
    }
}

/// How a socket stands when it has settled.
fn seen(lab: &Lab, scene: &Scene) -> String {
    let fds: Vec<Fd> = [Some(scene.fd), scene.peer].into_iter().flatten().collect();
    let ready = lab.settled(&fds);
    let error = lab.error(scene.fd);
    let after = lab.look(scene.fd);
    let mut text = format!("poll {}; SO_ERROR {error}", ready[0]);
    if after != ready[0] {
        text += &format!(", then {after}");
    }
    if let Some(peer) = ready.get(1) {
        text += &format!("; peer {peer}");
    }
    text
}

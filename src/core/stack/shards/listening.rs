//! A listener in every shard: the one of the program, at home, has the queue; the others stand for it, answer
//! requests, and announce the connections that come of them.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::post::{Announced, Post, Replica, What};
use crate::addr::Endpoint;
use crate::stack::{Kind, Own, Socket, SocketId, Stack, Waiting};
use crate::tcp::listener::{Listener, Shared};
use crate::time::Instant;

impl Stack {
    /// A listener begins, or has changed: it stands in all shards alike.
    pub(in crate::stack) fn spread_listener(&mut self, id: SocketId) {
        if self.share.is_none() {
            return;
        }
        let Some(Socket { kind: Kind::Listener(listener), own, .. }) = self.slab.get_mut(id) else { return };
        let shared = match listener.shared() {
            Some(shared) => shared.clone(),
            None => {
                let shared = Arc::new(Shared::new(listener.backlog()));
                listener.share(shared.clone());
                shared
            }
        };
        listener.version += 1;
        let replica = Replica {
            home: id,
            version: listener.version,
            local: listener.local,
            family: listener.family,
            options: listener.options.clone(),
            secrets: listener.fast_open.secrets.clone(),
            own: *own,
            shared,
        };
        for other in self.others() {
            self.posts.push_back((other, Post(What::Listen(replica.clone()))));
        }
    }

    /// A listener is about to end, in all shards.
    pub(in crate::stack) fn gather_listener(&mut self, id: SocketId) {
        let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.get(id) else { return };
        let Some(shared) = listener.shared().cloned() else { return };
        shared.close();
        for other in self.others() {
            self.posts.push_back((other, Post(What::Unlisten(id, shared.clone()))));
        }
    }

    pub(super) fn stand_for(&mut self, replica: Replica, now: Instant) {
        // It may have ended before this came.
        if replica.shared.is_closed() {
            return;
        }
        let known = self.replicas.get(&replica.home).copied();
        if let Some(id) = known
            && let Some(Socket { kind: Kind::Listener(listener), own, .. }) = self.slab.get_mut(id)
        {
            if listener.shared().is_some_and(|shared| Arc::ptr_eq(shared, &replica.shared)) {
                // Two calls on two threads tell of it in any order.
                if replica.version < listener.version {
                    return;
                }
                listener.version = replica.version;
                listener.options = replica.options;
                listener.fast_open.secrets = replica.secrets;
                *own = replica.own;
                return;
            }
            // The same socket has listened before, and word of that end is still to come.
            self.close_listener(id.index(), now);
        }
        let Replica { home, local, family, options, secrets, own, shared, version } = replica;
        let mut listener = Listener::new(local, family, options, 0, &self.config.tcp);
        listener.version = version;
        listener.fast_open.secrets = secrets;
        listener.share(shared);
        listener.stand_for(Waiting { connection: home, peer: local });
        let id = self.slab.insert(Socket::new(Kind::Listener(Box::new(listener)), own, false));
        self.tcp_bound.insert(local.port, id.index());
        self.replicas.insert(home, id);
    }

    pub(super) fn stand_no_more(&mut self, home: SocketId, shared: &Arc<Shared>, now: Instant) {
        let Some(&id) = self.replicas.get(&home) else { return };
        let ours = match self.slab.get(id) {
            Some(Socket { kind: Kind::Listener(listener), .. }) => {
                listener.shared().is_some_and(|theirs| Arc::ptr_eq(theirs, shared))
            }
            _ => false,
        };
        if ours {
            self.replicas.remove(&home);
            self.close_listener(id.index(), now);
        }
    }

    /// A handshake is done: the connection waits to be accepted, here or where the listener is at home.
    pub(in crate::stack) fn wait_for_accept(&mut self, listener: u32, connection: SocketId, peer: Endpoint) {
        let waiting = Waiting { connection, peer };
        let Some(Socket { kind: Kind::Listener(l), own, .. }) = self.slab.by_index_mut(listener) else {
            return;
        };
        let Some(home) = l.home().map(|home| home.connection) else { return l.push(waiting) };
        let Some(shared) = l.shared().cloned() else { return };
        let inherited = *own & (Own::V6 | Own::ADDRESS_CHOSEN);
        // Who accepts it there cannot reach it here.
        if let Some(socket) = self.slab.get_mut(connection) {
            socket.held = true;
            socket.own = inherited | Own::CONNECTED;
        }
        let announced = Announced { listener: home, shared, waiting };
        self.posts.push_back((home.shard(), Post(What::Announce(announced))));
    }

    pub(super) fn on_announced(&mut self, Announced { listener, shared, waiting }: Announced) {
        let connection = waiting.connection;
        match self.slab.get_mut(listener) {
            Some(Socket { kind: Kind::Listener(l), .. })
                if l.shared().is_some_and(|ours| Arc::ptr_eq(ours, &shared)) =>
            {
                l.push(waiting);
                self.publish(listener.index(), true);
            }
            _ => self.abandon(connection),
        }
    }

    /// Nobody will accept a connection of another shard.
    pub(in crate::stack) fn abandon(&mut self, connection: SocketId) {
        self.posts.push_back((connection.shard(), Post(What::Abandon(connection))));
    }

    pub(super) fn on_abandoned(&mut self, connection: SocketId, now: Instant) {
        if let Some(socket) = self.slab.get_mut(connection) {
            socket.held = false;
            self.reset_unaccepted(alloc::vec![connection], now);
        }
    }
}

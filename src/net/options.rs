//! Options of TCP sockets, under the names of std, tokio and socket2.

use std::io;
use std::time::Duration;

use tunstack_core::sockopt::SocketOptions;

use crate::engine::socket::invalid;

/// Parameters of keep-alive probes (RFC 9293 §3.8.4). What is not set stays as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpKeepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl TcpKeepalive {
    /// Nothing set.
    pub const fn new() -> Self {
        Self { time: None, interval: None, retries: None }
    }

    /// Idle time before the first probe (`TCP_KEEPIDLE`).
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        Self { time: Some(time), ..self }
    }

    /// Time between probes (`TCP_KEEPINTVL`).
    #[must_use]
    pub const fn with_interval(self, interval: Duration) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// Unanswered probes before the connection is given up, 1 to 127 (`TCP_KEEPCNT`).
    #[must_use]
    pub const fn with_retries(self, retries: u32) -> Self {
        Self { retries: Some(retries), ..self }
    }

    pub(crate) fn validate(&self) -> io::Result<()> {
        if [self.time, self.interval].contains(&Some(Duration::ZERO)) {
            return Err(invalid("keep-alive times must not be zero"));
        }
        if self.retries.is_some_and(|n| !(1..=127).contains(&n)) {
            return Err(invalid("keep-alive retries are from 1 to 127"));
        }
        Ok(())
    }

    pub(crate) fn apply(&self, options: &mut SocketOptions) {
        options.keepalive_time = self.time.unwrap_or(options.keepalive_time);
        options.keepalive_interval = self.interval.unwrap_or(options.keepalive_interval);
        if let Some(retries) = self.retries.and_then(|n| u8::try_from(n).ok()) {
            options.keepalive_probes = retries;
        }
        options.keepalive = true;
    }
}

/// The options that a TCP socket has before and after it is connected.
macro_rules! tcp_options {
    ($type:ty) => {
        impl $type {
            /// Sends small segments at once instead of waiting for the last one's acknowledgment (Nagle's
            /// algorithm, RFC 9293 §3.7.4).
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_nodelay(&self, nodelay: bool) -> std::io::Result<()> {
                self.socket.change_options(|o| o.nodelay = nodelay)
            }

            /// Whether small segments are sent at once.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn nodelay(&self) -> std::io::Result<bool> {
                Ok(self.socket.options()?.nodelay)
            }

            /// What closing does: `None`, what was written is delivered in the background; zero, the
            /// connection is reset; otherwise the drop of a blocking socket waits up to this time until the
            /// peer has acknowledged everything.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_linger(&self, linger: Option<std::time::Duration>) -> std::io::Result<()> {
                self.socket.change_options(|o| o.linger = linger)
            }

            /// What closing does.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn linger(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.socket.options()?.linger)
            }

            /// Probes an idle connection to learn whether the peer is still there.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_keepalive(&self, keepalive: bool) -> std::io::Result<()> {
                self.socket.change_options(|o| o.keepalive = keepalive)
            }

            /// Whether an idle connection is probed.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn keepalive(&self) -> std::io::Result<bool> {
                Ok(self.socket.options()?.keepalive)
            }

            /// Probes an idle connection, with these parameters.
            ///
            /// # Errors
            /// `InvalidInput` for a time of zero or retries out of range.
            pub fn set_tcp_keepalive(&self, keepalive: &$crate::net::TcpKeepalive) -> std::io::Result<()> {
                keepalive.validate()?;
                self.socket.change_options(|o| keepalive.apply(o))
            }

            /// Sends only full segments, for at most 200 ms (`TCP_CORK`).
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_tcp_cork(&self, cork: bool) -> std::io::Result<()> {
                self.socket.change_options(|o| o.cork = cork)
            }

            /// How long sent data may stay unacknowledged before the connection is given up
            /// (`TCP_USER_TIMEOUT`); `None`: the stack's R2.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_tcp_user_timeout(&self, timeout: Option<std::time::Duration>) -> std::io::Result<()> {
                self.socket.change_options(|o| o.set_user_timeout(timeout))
            }

            /// Whether and how the peer is told of that, and is listened to (RFC 5482). Best set before there is a
            /// connection. What the peer tells is in [`TcpInfo`](crate::core::tcp::info::TcpInfo).
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_tcp_user_timeout_option(
                &self,
                option: crate::core::user_timeout::UserTimeoutOption,
            ) -> std::io::Result<()> {
                self.socket.change_options(|o| o.user_timeout_option = option)
            }

            /// The send buffer's size, octets; less than 4608 is taken as that, as in Linux. From then on it does not grow by
            /// itself.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_send_buffer_size(&self, size: u32) -> std::io::Result<()> {
                self.socket.change_options(|o| {
                    o.send_buffer = size.max(4608);
                    o.buffer_lock |= tunstack_core::sockopt::BufferLock::SEND;
                })
            }

            /// The send buffer's size, octets.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn send_buffer_size(&self) -> std::io::Result<u32> {
                Ok(self.socket.options()?.send_buffer)
            }

            /// The receive buffer's size, octets: the largest window offered to the peer. The window scale is
            /// agreed on in the handshake, so a large one is to be set before. Less than 2304 is taken as that, as in
            /// Linux. From then on it does not grow by itself.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn set_recv_buffer_size(&self, size: u32) -> std::io::Result<()> {
                self.socket.change_options(|o| {
                    o.receive_buffer = size.max(2304);
                    o.buffer_lock |= tunstack_core::sockopt::BufferLock::RECEIVE;
                })
            }

            /// The receive buffer's size, octets.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn recv_buffer_size(&self) -> std::io::Result<u32> {
                Ok(self.socket.options()?.receive_buffer)
            }

            /// Time to live, or hop limit, of the packets sent, 1 to 255.
            ///
            /// # Errors
            /// `InvalidInput` when out of range.
            pub fn set_ttl(&self, ttl: u32) -> std::io::Result<()> {
                self.socket.set_ttl(ttl)
            }

            /// Time to live, or hop limit, of the packets sent.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn ttl(&self) -> std::io::Result<u32> {
                self.socket.ttl()
            }
        }
    };
}

tcp_options!(super::TcpStream);
tcp_options!(super::TcpSocket);

#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) use tcp_options;

#[cfg(test)]
mod tests {
    use tunstack_core::config::Config;

    use super::*;

    #[test]
    fn keepalive_changes_only_what_is_set() {
        let fresh = SocketOptions::tcp(&Config::default());
        let mut options = fresh;
        let keepalive = TcpKeepalive::new().with_interval(Duration::from_secs(3)).with_retries(2);
        keepalive.validate().unwrap();
        keepalive.apply(&mut options);
        assert_eq!(options.keepalive_time, fresh.keepalive_time);
        assert_eq!(options.keepalive_interval, Duration::from_secs(3));
        assert_eq!((options.keepalive_probes, options.keepalive), (2, true));
        for bad in [
            TcpKeepalive::new().with_time(Duration::ZERO),
            TcpKeepalive::new().with_retries(0),
            TcpKeepalive::new().with_retries(128),
        ] {
            assert_eq!(bad.validate().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}

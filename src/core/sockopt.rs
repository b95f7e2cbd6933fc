//! What a program asks of a socket beyond its calls.

use crate::config::{Config, TcpConfig};
use crate::congestion::Algorithm;
use crate::seq::WindowScale;
use crate::time::Duration;
use crate::user_timeout::UserTimeoutOption;

/// Which direction to shut down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// No more reading: reads give what had come before, then end of file. What arrives from now on is
    /// acknowledged and thrown away, or kept to be read after all:
    /// [`keep_after_shutdown`](SocketOptions::keep_after_shutdown).
    Read,
    /// No more writing: a FIN follows the data written.
    Write,
    /// Both.
    Both,
}

/// What a datagram does that is larger than the path takes (`IP_MTU_DISCOVER`, `IPV6_MTU_DISCOVER`). TCP cuts its
/// text to fit, and forbids routers to cut further, save with `Dont`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathMtuDiscovery {
    /// It is cut here to what is known of the path, and by IPv4 routers where that was too much.
    Dont,
    /// As before; but what fits may not be cut on the way (DF), so that the path's MTU is learned.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-8
    //= id=rfc4821-8-3, rfc4821-8-4
    Want,
    /// It is refused ([`MessageTooLong`](crate::error::Error::MessageTooLong)); none is cut anywhere.
    Do,
    /// As `Do`, but what the device takes is sent, whatever is known of the path: to probe it (RFC 8899).
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //= id=rfc4821-4-13
    //= https://www.rfc-editor.org/rfc/rfc4821#section-9
    //= id=rfc4821-9-1, rfc4821-9-2, rfc4821-9-3, rfc4821-9-4
    Probe,
}

impl Shutdown {
    /// Whether reading is closed.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Both)
    }

    /// Whether writing is closed.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Both)
    }
}

bitflags::bitflags! {
    /// With whom a socket shares its address and port: all that both sides allow.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
    pub struct Reuse: u8 {
        /// With those that do not listen (`SO_REUSEADDR`).
        const ADDRESS = 1 << 0;
        /// With each that wants to share the load (`SO_REUSEPORT`).
        const PORT = 1 << 1;
    }
}

impl Reuse {
    /// Whether both may stand at one address and port.
    pub const fn shares(self, other: Self, other_listens: bool) -> bool {
        let both = self.intersection(other);
        both.contains(Self::PORT) || (both.contains(Self::ADDRESS) && !other_listens)
    }
}

bitflags::bitflags! {
    /// Which buffers stay as the program set them (`SO_BUF_LOCK`): TCP tunes the others.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct BufferLock: u8 {
        /// The send buffer.
        const SEND = 1 << 0;
        /// The receive buffer.
        const RECEIVE = 1 << 1;
    }
}

/// What a program asked of a socket, copied to each connection a listener begets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketOptions {
    /// Send buffer, octets (`SO_SNDBUF`). Of TCP it is a limit at which no further run of a write is taken, of up to 64
    /// KiB or half of the peer's largest window: it holds at most that much more. It grows with the congestion window, up
    /// to [`TcpConfig::send_buffer_max`], until it is set.
    pub send_buffer: u32,
    /// Receive buffer, octets: the largest window offered (`SO_RCVBUF`). It grows with what is read, up to
    /// [`TcpConfig::receive_buffer_max`], until it is set.
    pub receive_buffer: u32,
    /// Which of the two are set. [`Stack::set_options`](crate::stack::Stack::set_options) adds each whose size it changes.
    pub buffer_lock: BufferLock,
    /// Octets written and never sent at which a connection is no longer writable; 0: no limit but the buffer's
    /// (`TCP_NOTSENT_LOWAT`).
    pub unsent_low_water: u32,
    /// The same where the program sets none (sysctl `tcp_notsent_lowat`).
    pub unsent_low_water_default: u32,
    /// Time after which unacknowledged data ends the connection (`TCP_USER_TIMEOUT`); `None`: R2.
    pub user_timeout: Option<Duration>,
    /// Whether and how the peer is told of it, and is listened to (RFC 5482).
    pub user_timeout_option: UserTimeoutOption,
    /// What close does (`SO_LINGER`): `None` returns at once; zero resets; otherwise the time a blocking
    /// close waits for the data to be acknowledged.
    pub linger: Option<Duration>,
    /// Keep-alive: idle time before the first probe (`TCP_KEEPIDLE`).
    pub keepalive_time: Duration,
    /// Time between probes (`TCP_KEEPINTVL`).
    pub keepalive_interval: Duration,
    /// Unanswered probes before the connection ends (`TCP_KEEPCNT`).
    pub keepalive_probes: u8,
    /// How often our SYN is retransmitted (`TCP_SYNCNT`).
    pub syn_retries: u8,
    /// How long the connection stays in FIN-WAIT-2 when no program holds it (`TCP_LINGER2`).
    pub fin_wait_2_timeout: Duration,
    /// The largest window offered, whatever the receive buffer holds (`TCP_WINDOW_CLAMP`), octets.
    pub window_clamp: u32,
    /// Congestion control (`TCP_CONGESTION`). Changed on a connection, the new algorithm goes on with the window and the
    /// threshold of the old one.
    pub congestion: Algorithm,
    /// Send keep-alive probes (`SO_KEEPALIVE`).
    pub keepalive: bool,
    /// Send at once, without waiting for a full segment (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Send only full segments, for at most 200 ms (`TCP_CORK`).
    pub cork: bool,
    /// Upper limit of the MSS, both ways; 0: none (`TCP_MAXSEG`).
    pub max_segment: u16,
    /// TTL or hop limit; 0: the stack's default (`IP_TTL`, `IPV6_UNICAST_HOPS`).
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2
    //# The TTL value used to send TCP segments MUST be configurable (MUST-49)
    pub hop_limit: u8,
    /// The same for multicast (`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`); with 0 nothing leaves the host.
    pub multicast_hops: u8,
    /// What becomes of datagrams that do not fit the path.
    pub path_mtu_discovery: PathMtuDiscovery,
    /// DSCP in the upper six bits (`IP_TOS`, `IPV6_TCLASS`).
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.9
    //# The application layer MUST be able to specify the Differentiated Services field for segments that
    //# are sent on a connection (MUST-48).
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.9
    //# the application SHOULD be able to change the Differentiated Services field during the connection
    //# lifetime (SHLD-21)
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.9
    //# TCP implementations SHOULD pass the current Differentiated Services field value without change to
    //# the IP layer, when it sends segments on the connection (SHLD-22).
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
    //= id=rfc1122-3.4-2
    //# The transport layer MUST either have mechanisms to set these interface parameters, or provide a path
    //# to pass them through from an application, or both.
    pub traffic_class: u8,
    /// Bind although others hold the address that allow it too and do not listen: connections, TIME-WAIT
    /// (`SO_REUSEADDR`).
    pub reuse_address: bool,
    /// Bind although others hold the address that allow it too; what arrives is shared out among them
    /// (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// An IPv6 socket that speaks IPv6 alone (`IPV6_V6ONLY`).
    pub v6_only: bool,
    /// UDP: may send to a broadcast address (`SO_BROADCAST`).
    pub broadcast: bool,
    /// UDP: octets of each datagram, the last of them perhaps shorter, that what one call sends is cut into
    /// (`UDP_SEGMENT`); 0: one call, one datagram.
    pub segment_size: u16,
    /// UDP: datagrams of one sender that came joined are read so, with the size of each beside them (`UDP_GRO`);
    /// otherwise one by one.
    pub receive_joined: bool,
    /// Urgent data is read in its place in the stream (`SO_OOBINLINE`; RFC 6093 §5 wants it so). Otherwise the
    /// last urgent octet is left out of the stream, to be read apart.
    pub oob_inline: bool,
    /// A shutdown of reading ends no more than the waiting, as in Linux: what arrives later is kept and read, and
    /// the window fills when nobody reads it.
    pub keep_after_shutdown: bool,
    /// A listener hands out a connection when something has come with it or behind the handshake, or when SYN,ACK has timed
    /// out so often and the peer answers once more (`TCP_DEFER_ACCEPT`); 0: when the handshake is done.
    /// [`set_defer_accept`](Self::set_defer_accept) knows how often that is. More than 15 count as 15.
    pub defer_accept: u8,
    /// A listener takes data in a SYN from so many connections whose handshake is not done (`TCP_FASTOPEN`); 0: from
    /// none (RFC 7413).
    pub fast_open_queue: u16,
    /// `connect` waits for the first octets, to send them with the SYN, where the server's cookie is known
    /// (`TCP_FASTOPEN_CONNECT`).
    pub fast_open_connect: bool,
    /// Data goes with a SYN, and is taken with one, without a cookie (`TCP_FASTOPEN_NO_COOKIE`; RFC 7413 §7.3).
    pub fast_open_no_cookie: bool,
    /// TCP: a socket is readable from this many octets on (`SO_RCVLOWAT`); 0 counts as 1.
    pub receive_low_water: u32,
    /// TCP: how fast to send at the most, octets a second (`SO_MAX_PACING_RATE`); `u64::MAX`, and 0: no limit.
    pub max_pacing_rate: u64,
}

impl SocketOptions {
    /// How long a listener waits for the first octets of a connection, rounded up to a time at which SYN,ACK times out;
    /// zero: not at all.
    pub fn set_defer_accept(&mut self, wait: Duration, config: &TcpConfig) {
        let enough = |n: &u8| config.syn_ack_time(*n) >= wait;
        self.defer_accept = (0..u8::MAX).find(enough).unwrap_or(u8::MAX);
    }

    /// How long that is.
    pub fn defer_accept_time(&self, config: &TcpConfig) -> Duration {
        config.syn_ack_time(self.defer_accept)
    }

    /// The options of a fresh TCP socket.
    pub const fn tcp(config: &Config) -> Self {
        Self {
            send_buffer: larger(config.tcp.send_buffer, config.tcp.send_buffer_min),
            receive_buffer: larger(config.tcp.receive_buffer, config.tcp.receive_buffer_min),
            buffer_lock: BufferLock::empty(),
            unsent_low_water: 0,
            unsent_low_water_default: config.tcp.unsent_low_water,
            user_timeout: None,
            user_timeout_option: config.tcp.user_timeout_option,
            linger: None,
            keepalive_time: config.tcp.keepalive_time,
            keepalive_interval: config.tcp.keepalive_interval,
            keepalive_probes: config.tcp.keepalive_probes,
            syn_retries: config.tcp.syn_retries,
            fin_wait_2_timeout: config.tcp.fin_wait_2_timeout,
            window_clamp: u32::MAX,
            congestion: config.tcp.congestion,
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
            //# they MUST default to off (MUST-25)
            keepalive: false,
            nodelay: false,
            cork: false,
            max_segment: 0,
            hop_limit: 0,
            multicast_hops: 1,
            path_mtu_discovery: if config.path_mtu_discovery {
                PathMtuDiscovery::Want
            } else {
                PathMtuDiscovery::Dont
            },
            traffic_class: 0,
            reuse_address: false,
            reuse_port: false,
            v6_only: false,
            broadcast: false,
            segment_size: 0,
            receive_joined: false,
            oob_inline: true,
            keep_after_shutdown: false,
            //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2
            //= id=rfc7413-4.2-1
            //# It MUST be turned on explicitly by the application.
            fast_open_queue: 0,
            defer_accept: 0,
            fast_open_connect: false,
            fast_open_no_cookie: false,
            receive_low_water: 1,
            max_pacing_rate: u64::MAX,
        }
    }

    /// Sets how long data may stay unacknowledged (`TCP_USER_TIMEOUT`); `None`: R2 again. The peer cannot change it then,
    /// unless [`changeable`](UserTimeoutOption::changeable) is set anew.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3
    //# If an application explicitly sets the USER_TIMEOUT, CHANGEABLE MUST become false in order to prevent
    //# UTO options (from the other end) from overriding local application requests.
    pub const fn set_user_timeout(&mut self, limit: Option<Duration>) {
        self.user_timeout = limit;
        self.user_timeout_option.changeable = if limit.is_some() { Some(false) } else { None };
    }

    /// CHANGEABLE: whether a peer may change how long data may stay unacknowledged.
    pub const fn user_timeout_changeable(&self) -> bool {
        match self.user_timeout_option.changeable {
            Some(changeable) => changeable,
            None => self.user_timeout.is_none(),
        }
    }

    /// These options in the place of `before`: a buffer whose size they change stays as it is set from now on.
    #[must_use]
    pub const fn in_place_of(mut self, before: &Self) -> Self {
        if self.send_buffer != before.send_buffer {
            self.buffer_lock = self.buffer_lock.union(BufferLock::SEND);
        }
        if self.receive_buffer != before.receive_buffer {
            self.buffer_lock = self.buffer_lock.union(BufferLock::RECEIVE);
        }
        self
    }

    /// These options of a connection with room for what the program waits for (`SO_RCVLOWAT`): up to `most` octets the
    /// receive buffer becomes as large, and still grows by itself; one that was set stays, and the wait is for no more than it
    /// takes.
    #[must_use]
    pub fn with_room_to_wait(mut self, most: u32) -> Self {
        let locked = self.buffer_lock.contains(BufferLock::RECEIVE);
        let most = if locked { self.receive_buffer } else { self.receive_buffer.max(most) };
        self.receive_low_water = self.receive_low_water.min(most);
        self.receive_buffer = self.receive_buffer.max(self.receive_low_water);
        self
    }

    /// Octets written and never sent at which a connection is no longer writable, if there is such a limit.
    pub const fn unsent_limit(&self) -> Option<u32> {
        match (self.unsent_low_water, self.unsent_low_water_default) {
            (0, 0) => None,
            (0, limit) | (limit, _) => Some(limit),
        }
    }

    /// How fast to send at the most, octets a second, if there is a limit.
    pub const fn pacing_limit(&self) -> Option<u64> {
        match self.max_pacing_rate {
            0 | u64::MAX => None,
            limit => Some(limit),
        }
    }

    /// With whom it shares its address and port.
    pub const fn reuse(&self) -> Reuse {
        let address = if self.reuse_address { Reuse::ADDRESS } else { Reuse::empty() };
        if self.reuse_port { address.union(Reuse::PORT) } else { address }
    }

    /// The largest window that an empty receive buffer offers, octets.
    pub fn largest_window(&self) -> u32 {
        self.receive_buffer.min(self.window_clamp)
    }

    /// The window to offer on a SYN, octets: whole segments of `mss` octets, as in Linux, where the buffer holds one; what
    /// is beyond would be filled by a segment that is not full.
    pub fn first_window(&self, mss: u16) -> u16 {
        let most = self.largest_window();
        let odd = most.checked_rem(mss.into()).filter(|_| most > u32::from(mss)).unwrap_or(0);
        u16::try_from(most - odd).unwrap_or(u16::MAX)
    }

    /// The window scale for all the windows that may be offered, were the receive buffer to grow to what `config` lets
    /// it. As in Linux, which counts what surrounds the octets too, it is for twice as much as they may come to.
    pub fn window_scale(&self, config: &TcpConfig) -> WindowScale {
        let locked = self.buffer_lock.contains(BufferLock::RECEIVE);
        let grown = if locked { 0 } else { config.receive_buffer_max.saturating_mul(2) };
        let most = self.receive_buffer.max(grown).min(self.window_clamp);
        // A window that cannot be told in less than the buffer holds would stay closed for ever: at least four units fit.
        let finest = self.largest_window().checked_ilog2().unwrap_or(0).saturating_sub(2);
        WindowScale::new(WindowScale::for_window(most).shift().min(finest as u8))
    }

    /// The options of a fresh UDP or ping socket.
    pub const fn udp(config: &Config) -> Self {
        let mut options = Self::tcp(config);
        options.send_buffer = config.udp_send_buffer as u32;
        options.receive_buffer = config.udp_receive_buffer as u32;
        options
    }
}

const fn larger(a: u32, b: u32) -> u32 {
    if a < b { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_begin_as_the_stack_is_set() {
        let mut config = Config::default();
        let options = SocketOptions::tcp(&config);
        assert_eq!((options.unsent_limit(), options.path_mtu_discovery), (None, PathMtuDiscovery::Want));
        config.tcp.unsent_low_water = 4000;
        config.path_mtu_discovery = false;
        let options = SocketOptions::tcp(&config);
        assert_eq!((options.unsent_low_water, options.unsent_limit()), (0, Some(4000)));
        assert_eq!(SocketOptions { unsent_low_water: 8000, ..options }.unsent_limit(), Some(8000));
        assert_eq!(options.path_mtu_discovery, PathMtuDiscovery::Dont);
        assert_eq!(SocketOptions::udp(&config).path_mtu_discovery, PathMtuDiscovery::Dont);
    }

    #[test]
    fn the_first_window_is_of_whole_segments() {
        let window = |receive_buffer, mss| {
            SocketOptions { receive_buffer, ..SocketOptions::tcp(&Config::default()) }.first_window(mss)
        };
        assert_eq!((window(65_536, 1460), window(65_536, 1448)), (64_240, 65_160));
        assert_eq!((window(270_000, 1460), window(65_535, 65_483)), (65_535, 65_483));
        assert_eq!((window(1000, 1460), window(0, 1460), window(5000, 0)), (1000, 0, 5000));
    }

    #[test]
    fn the_scale_is_for_what_the_buffer_may_become() {
        let mut config = Config::default();
        let mut scale = |default, max, clamp| {
            (config.tcp.receive_buffer, config.tcp.receive_buffer_max) = (default, max);
            let options = SocketOptions { window_clamp: clamp, ..SocketOptions::tcp(&config) };
            options.window_scale(&config.tcp).shift()
        };
        assert_eq!(scale(65_536, 3 << 20, u32::MAX), 7);
        assert_eq!(scale(270_000, 15 << 19, u32::MAX), 8);
        assert_eq!(scale(1 << 20, 0, u32::MAX), 5, "larger already");
        assert_eq!([0, 1, 7, 8, 1152].map(|octets| scale(octets, 15 << 19, u32::MAX)), [0, 0, 0, 1, 8]);
        assert_eq!(scale(65_536, 3 << 20, 65_535), 0, "a clamp will not be passed");
        config.tcp.receive_buffer_max = 15 << 19;
        let options = SocketOptions { receive_buffer: 100_000, ..SocketOptions::tcp(&config) };
        let set = options.in_place_of(&SocketOptions::tcp(&config));
        assert_eq!(set.window_scale(&config.tcp).shift(), 1, "one that was set does not grow");
    }

    #[test]
    fn a_buffer_that_is_set_is_locked() {
        let config = Config::default();
        let before = SocketOptions::tcp(&config);
        let lock = |options: SocketOptions| options.in_place_of(&before).buffer_lock;
        assert_eq!(lock(SocketOptions { nodelay: true, ..before }), BufferLock::empty());
        assert_eq!(lock(SocketOptions { send_buffer: 9, ..before }), BufferLock::SEND);
        assert_eq!(lock(SocketOptions { receive_buffer: 9, ..before }), BufferLock::RECEIVE);
        let set = SocketOptions { receive_buffer: 9, buffer_lock: BufferLock::RECEIVE, ..before };
        let freed = SocketOptions { buffer_lock: BufferLock::empty(), ..set };
        assert_eq!(freed.in_place_of(&set).buffer_lock, BufferLock::empty());
    }

    #[test]
    fn what_is_waited_for_fits() {
        let before = SocketOptions { receive_buffer: 1000, ..SocketOptions::tcp(&Config::default()) };
        let wait = |octets, buffer_lock| {
            let options = SocketOptions { receive_low_water: octets, buffer_lock, ..before };
            let fitted = options.in_place_of(&before).with_room_to_wait(5000);
            (fitted.receive_low_water, fitted.receive_buffer, fitted.buffer_lock)
        };
        let none = BufferLock::empty();
        assert_eq!(wait(700, none), (700, 1000, none));
        assert_eq!(wait(3000, none), (3000, 3000, none));
        assert_eq!(wait(9000, none), (5000, 5000, none));
        assert_eq!(wait(3000, BufferLock::RECEIVE), (1000, 1000, BufferLock::RECEIVE));
    }

    #[test]
    fn no_buffer_begins_below_the_least() {
        let mut config = Config::default();
        (config.tcp.send_buffer, config.tcp.send_buffer_min) = (100, 4096);
        (config.tcp.receive_buffer, config.tcp.receive_buffer_min) = (100, 2048);
        let options = SocketOptions::tcp(&config);
        assert_eq!((options.send_buffer, options.receive_buffer), (4096, 2048));
    }

    //= https://www.rfc-editor.org/rfc/rfc5482#section-3
    //= type=test
    //# If an application explicitly sets the USER_TIMEOUT, CHANGEABLE MUST become false in order to prevent
    //# UTO options (from the other end) from overriding local application requests.
    #[test]
    fn a_program_that_sets_it_means_it() {
        let mut options = SocketOptions::tcp(&Config::default());
        assert!(options.user_timeout_changeable());
        options.user_timeout_option.changeable = Some(true);
        options.set_user_timeout(Some(Duration::from_secs(5)));
        assert!(!options.user_timeout_changeable());
        options.user_timeout_option.changeable = Some(true);
        assert!(options.user_timeout_changeable(), "it may be allowed all the same");
        options.set_user_timeout(None);
        assert!(options.user_timeout_changeable());
        options.user_timeout = Some(Duration::from_secs(5));
        assert!(!options.user_timeout_changeable());
    }
}

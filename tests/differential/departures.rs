//! Where ours is not as Linux is, and why.

/// Rows whose answer differs from Linux's on purpose.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the reason is for who reads, and is printed with the rest")]
pub(crate) struct Departure {
    /// The table in which they stand.
    pub(crate) table: &'static str,
    /// Their names; `*` stands for anything.
    pub(crate) rows: &'static str,
    /// Linux's answer; `*` and `?` stand for anything, …
    pub(crate) linux: &'static str,
    /// … and ours, in which each `*` stands for the same as in Linux's.
    pub(crate) ours: &'static str,
    pub(crate) reason: &'static str,
}

const UNIX_ERROR: &str =
    "the shadow is an AF_UNIX socket, which shows an error together with the end of file";
const UNIX_URGENT: &str = "the shadow is an AF_UNIX socket, which shows POLLPRI together with POLLIN";
const OVER: &str = "what is over waits for no acknowledgment";
const ONE_CALL: &str = "a datagram is sent by one call";
const NO_CONTROL: &str = "no call gives control messages";
const CUT: &str = "Linux's loopback cuts what is longer than 64 KiB with a link's header, and ours has none";
const NO_LOOP: &str = "nothing that is sent to a group is looped back";

/// A table's name and what departs there: rows, Linux's answer, ours, the reason.
type Part<'a> = (&'static str, &'a [[&'static str; 4]]);

const PARTS: [Part<'static>; 6] = [
    (
        "tcp",
        &[
            [
                "*",
                "*; poll OUT|HUP|ERR; SO_ERROR *, then OUT|HUP*",
                "*; poll IN|OUT|RDHUP|HUP|ERR; SO_ERROR *, then OUT|HUP*",
                UNIX_ERROR,
            ],
            [
                "*: SIOCOUTQ",
                "?; poll OUT|HUP|ERR; SO_ERROR *, then OUT|HUP*",
                "0; poll IN|OUT|RDHUP|HUP|ERR; SO_ERROR *, then OUT|HUP*",
                UNIX_ERROR,
            ],
            ["listening, *: SIOCOUTQ", "2; poll OUT|HUP; *", "0; poll OUT|HUP; *", OVER],
            ["refused*: SIOCOUTQ", "1; *", "0; *", OVER],
            ["peer closed, then written to: SIOCOUTQ", "4; *", "0; *", OVER],
            [
                "*: listen 1",
                "ok; poll -; SO_ERROR ECONNRESET*",
                "ok; poll -; SO_ERROR 0*",
                "who listens has forgotten the error of what was before",
            ],
            ["established, urgent unread: *", "*poll PRI|OUT*", "*poll IN|PRI|OUT*", UNIX_URGENT],
        ],
    ),
    (
        "urgent",
        &[
            ["out of band: *", "PRI|OUT, *, PRI|OUT", "IN|PRI|OUT, *, IN|PRI|OUT", UNIX_URGENT],
            ["out of band: *", "PRI|OUT, *", "IN|PRI|OUT, *", UNIX_URGENT],
            ["out of band: *", "*, PRI|OUT", "*, IN|PRI|OUT", UNIX_URGENT],
        ],
    ),
    (
        "binding",
        &[[
            "connected: [::] then 0.0.0.0*",
            "EADDRINUSE, -, connection OUT",
            "ok, ok, connection OUT",
            "a connection over IPv6 is not in the way of IPv4",
        ]],
    ),
    ("udp", &[["*: send MSG_MORE, send", "?", "EOPNOTSUPP, ?", ONE_CALL]]),
    (
        "segments",
        &[[
            "*, joined: 655* octets, * 1400",
            "*, 1400 unread: 46 x 1400 flags 0x0, 1 x ? flags 0x0, 1 x EAGAIN",
            "*, ? unread: 1 x ? by 1400 flags 0x0, 1 x EAGAIN",
            CUT,
        ]],
    ),
    (
        "options",
        &[
            ["*: SO_TIMESTAMP*", "ok, 1 in 4", "ENOPROTOOPT, 0 in 4", NO_CONTROL],
            ["*: IP*PKTINFO*", "ok, 1 in 4", "ENOPROTOOPT, 0 in 4", NO_CONTROL],
            ["*: IP_RECV*", "ok, 1 in 4", "ENOPROTOOPT, 0 in 4", NO_CONTROL],
            ["*: IP*_MULTICAST_LOOP*", "ok, 1 in 4", "ENOPROTOOPT, 0 in 4", NO_LOOP],
            ["*: IP*_MULTICAST_LOOP*", "EINVAL, 1 in 4", "EINVAL, 0 in 4", NO_LOOP],
            ["*: IP*_MULTICAST_LOOP*", "1 in 4", "0 in 4", NO_LOOP],
            ["*: IP*_MULTICAST_LOOP*", "[1*", "[0*", NO_LOOP],
            [
                "tcp*: IP*_MULTICAST_* of what a listener with it accepts",
                "?, 64 in 4",
                "?, 1 in 4",
                "Linux fills in the TTL of the client's SYN, though TCP sends to no group",
            ],
            [
                "*: IP_FREEBIND*",
                "ok, 1 in 4",
                "ENOPROTOOPT, 0 in 4",
                "an address that the stack has not cannot be bound",
            ],
            [
                "*: IPV6_UNICAST_HOPS = 0",
                "ok, 0 in 4",
                "EINVAL, 64 in 4",
                "a packet that may not go one hop is never sent",
            ],
            [
                "tcp*: TCP_DEFER_ACCEPT of what a listener with it accepts",
                "ok, 0 in 4",
                "ok, 3 in 4",
                "a connection has the options of its listener, though this one means nothing to it",
            ],
            ["udp*: UDP_CORK*", "ok, 1 in 4", "ENOPROTOOPT, 0 in 4", ONE_CALL],
        ],
    ),
];

/// All of them.
pub(crate) fn all() -> Vec<Departure> {
    let of = |(table, part): Part<'static>| {
        part.iter().map(move |&[rows, linux, ours, reason]| Departure { table, rows, linux, ours, reason })
    };
    PARTS.into_iter().flat_map(of).collect()
}

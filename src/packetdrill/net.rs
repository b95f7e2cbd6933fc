//! The network a script presumes: addresses, ports, MTU, and how exact it wants to be.
//!
//! The defaults are those of the original tool; where it draws the local address by chance, here it is always
//! the first of the same prefix.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const V4_LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const V4_GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
/// TEST-NET-1 (RFC 5737).
const V4_REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// A unique local address (RFC 4193).
const V6_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1);
const V6_GATEWAY: Ipv6Addr = Ipv6Addr::new(0xfd3d, 0xfa7b, 0xd17d, 0x8888, 0, 0, 0, 0);
/// The prefix for documentation (RFC 3849).
const V6_REMOTE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const V4_PREFIX: u8 = 16;
const V4_REMOTE_PREFIX: u8 = 24;
const V6_PREFIX: u8 = 48;
const V6_REMOTE_PREFIX: u8 = 32;

/// Which sockets and which packets a script is run with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum IpVersion {
    /// `ipv4`: sockets of AF_INET, packets of IPv4.
    #[default]
    V4,
    /// `ipv4-mapped-ipv6`: sockets of AF_INET6 with addresses `::ffff:a.b.c.d`, packets of IPv4.
    V4Mapped,
    /// `ipv6`: sockets of AF_INET6, packets of IPv6.
    V6,
}

impl IpVersion {
    /// As `--ip_version` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V4Mapped => "ipv4-mapped-ipv6",
            Self::V6 => "ipv6",
        }
    }
}

/// The version of IP that stands in packets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WireVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What `--non_fatal` names: whose failures are told but end no script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NonFatal {
    /// Outbound packets that are not as expected.
    pub packet: bool,
    /// System calls whose result is not as expected.
    pub syscall: bool,
}

/// The network a script is run in. Options are applied in any order, those of the script first and then those
/// of the command line; [`check`](Self::check) says whether they go together.
///
/// ```
/// use tunstack::packetdrill::net::Net;
/// let mut net = Net::default();
/// assert_eq!(net.apply("ip_version", Some("ipv6")), Ok(true));
/// assert_eq!(net.apply("local_ip", Some("fd::1")), Ok(true));
/// assert_eq!(net.apply("code_command", Some("python3")), Ok(false));
/// assert_eq!(net.check(), Ok(()));
/// assert_eq!(net.local.to_string(), "fd::1");
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Net {
    /// `--ip_version`.
    pub version: IpVersion,
    /// What it means for packets.
    pub wire_version: WireVersion,
    /// The stack's address as it stands in packets.
    pub local: IpAddr,
    /// Leading bits of `local` that name its network.
    pub prefix: u8,
    /// The address of the other end as it stands in packets.
    pub remote: IpAddr,
    /// Leading bits of `remote` that name the network all remote addresses are of.
    pub remote_prefix: u8,
    /// The router to `remote`.
    pub gateway: IpAddr,
    /// Of the device, in octets, IP header included.
    pub mtu: u16,
    /// `--mss`: inbound segments with more octets come as if the device had joined segments of this size.
    pub mss: Option<u16>,
    /// The port that a `bind` with `...` takes.
    pub bind_port: u16,
    /// The port that a `connect` with `...` goes to.
    pub connect_port: u16,
    /// How far an event may be from its time.
    pub tolerance: Duration,
    /// The same as a part of the time since the event before, in percent. The larger of the two counts.
    pub tolerance_percent: f64,
    /// Whether an inbound TSecr that no outbound TSval had is computed from the first one that was seen,
    /// instead of being an error.
    pub ts_ecr_scaled: bool,
    /// Microseconds per tick of outbound TSvals; 0: they are not compared.
    pub ts_tick_usecs: u32,
    /// Whether consecutive segments are never joined to the one that the script expects.
    pub strict_segments: bool,
    /// Whose failures end no script.
    pub non_fatal: NonFatal,
    /// `--so_flags=strict_timestamps`: segments that lack the timestamp agreed on are dropped, as RFC 7323 §3.2 advises, and not
    /// taken, as in Linux.
    pub strict_timestamps: bool,
    /// Whether the stack takes packets for any address of the local prefix.
    pub anyip: bool,
    said: Said,
}

/// What options said, of whatever family: which family counts may be said after it.
#[derive(Clone, PartialEq, Debug, Default)]
struct Said {
    local: Option<IpAddr>,
    remote: Option<(IpAddr, Option<u8>)>,
    gateway: Option<IpAddr>,
    netmask: Option<u8>,
}

impl Default for Net {
    fn default() -> Self {
        Self {
            version: IpVersion::V4,
            wire_version: WireVersion::V4,
            local: V4_LOCAL.into(),
            prefix: V4_PREFIX,
            remote: V4_REMOTE.into(),
            remote_prefix: V4_REMOTE_PREFIX,
            gateway: V4_GATEWAY.into(),
            mtu: 1500,
            mss: None,
            bind_port: 8080,
            connect_port: 8080,
            tolerance: Duration::from_micros(4000),
            tolerance_percent: 12.5,
            ts_ecr_scaled: false,
            ts_tick_usecs: 0,
            strict_segments: false,
            strict_timestamps: false,
            non_fatal: NonFatal::default(),
            anyip: false,
            said: Said::default(),
        }
    }
}

impl Net {
    /// With everything by default for this version.
    pub fn new(version: IpVersion) -> Self {
        let mut net = Self { version, ..Self::default() };
        net.resolve();
        net
    }

    /// Applies the option `--name` or `--name=value`. `false` where it is none of the network's.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the value.
    pub fn apply(&mut self, name: &str, value: Option<&str>) -> Result<bool, String> {
        match name {
            "tcp_ts_ecr_scaled" => self.ts_ecr_scaled = flag(name, value)?,
            "strict_segments" => self.strict_segments = flag(name, value)?,
            "so_flags" if value == Some("strict_timestamps") => self.strict_timestamps = true,
            "is_anyip" => self.anyip = flag(name, value)?,
            "ip_version" => {
                self.version = match needed(name, value)? {
                    "ipv4" => IpVersion::V4,
                    "ipv4-mapped-ipv6" => IpVersion::V4Mapped,
                    "ipv6" => IpVersion::V6,
                    other => {
                        return Err(format!("--ip_version={other}: expected ipv4, ipv4-mapped-ipv6 or ipv6"));
                    }
                }
            }
            "local_ip" => self.said.local = Some(address(name, value)?),
            "gateway_ip" => self.said.gateway = Some(address(name, value)?),
            "remote_ip" => {
                let text = needed(name, value)?;
                let (ip, len) = match text.split_once('/') {
                    Some((ip, len)) => (ip, Some(len)),
                    None => (text, None),
                };
                let ip = address(name, Some(ip))?;
                let longest = if ip.is_ipv4() { 32 } else { 128 };
                let len = len.map(|len| number(name, Some(len), 0, longest)).transpose()?;
                self.said.remote = Some((ip, len));
            }
            "netmask_ip" => self.said.netmask = Some(netmask(name, value)?),
            "bind_port" => self.bind_port = number(name, value, 1, 65_535)?,
            "connect_port" => self.connect_port = number(name, value, 1, 65_535)?,
            "mss" => self.mss = Some(number(name, value, 1, 65_535)?),
            // RFC 791 §3.2: every host takes 68 octets, so no link has less.
            "mtu" => self.mtu = number(name, value, 68, 65_535)?,
            "tolerance_usecs" => {
                self.tolerance = Duration::from_micros(number(name, value, 1, u32::MAX.into())?);
            }
            "tolerance_percent" => {
                let text = needed(name, value)?;
                let percent: Option<f64> = text.parse().ok();
                self.tolerance_percent = percent
                    .filter(|percent| (0.0..=100.0).contains(percent))
                    .ok_or_else(|| format!("--{name}={text}: expected a number from 0 to 100"))?;
            }
            "tcp_ts_tick_usecs" => self.ts_tick_usecs = number(name, value, 0, 1_000_000)?,
            "non_fatal" => {
                for word in needed(name, value)?.split([',', ' ']).filter(|word| !word.is_empty()) {
                    match word {
                        "packet" => self.non_fatal.packet = true,
                        "syscall" => self.non_fatal.syscall = true,
                        other => return Err(format!("--non_fatal={other}: expected packet or syscall")),
                    }
                }
            }
            _ => return Ok(false),
        }
        self.resolve();
        Ok(true)
    }

    /// Whether the options go together, once all have been applied.
    ///
    /// # Errors
    ///
    /// One line that names the address that is not of the version.
    pub fn check(&self) -> Result<(), String> {
        let Said { local, remote, gateway, netmask } = &self.said;
        let said = [("local_ip", *local), ("remote_ip", remote.map(|(ip, _)| ip)), ("gateway_ip", *gateway)];
        for (name, ip) in said {
            if let Some(ip) = ip.filter(|ip| !self.is_of_wire(ip)) {
                return Err(format!("--{name}={ip}: not an address of --ip_version={}", self.version.name()));
            }
        }
        if netmask.is_some() && self.wire_version == WireVersion::V6 {
            return Err("--netmask_ip: IPv6 has none".into());
        }
        Ok(())
    }

    /// What `bind` with `...` gives to the stack: mapped where sockets are of IPv6 and packets are not.
    pub fn bind_address(&self) -> SocketAddr {
        SocketAddr::new(self.socket_ip(self.local), self.bind_port)
    }

    /// What `connect` with `...` gives to the stack.
    pub fn connect_address(&self) -> SocketAddr {
        SocketAddr::new(self.socket_ip(self.remote), self.connect_port)
    }

    /// Whether sockets are of AF_INET6, whatever the packets are.
    pub fn has_v6_sockets(&self) -> bool {
        self.version != IpVersion::V4
    }

    /// How far a time may be from its due one, `since` an earlier one that it is measured from.
    pub fn tolerance_after(&self, since: Duration) -> Duration {
        self.tolerance.max(since.mul_f64(self.tolerance_percent / 100.0))
    }

    /// How many ticks an outbound TSval may be off, so long after the script's start; `None`: it is not
    /// compared. What is measured adds up over the whole script, so its start counts and not the last event.
    pub fn ts_slack(&self, since_start: Duration) -> Option<u32> {
        let tick = u128::from(self.ts_tick_usecs);
        let ticks = self.tolerance_after(since_start).as_micros().checked_div(tick)?;
        Some(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    fn socket_ip(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(ip) if self.version == IpVersion::V4Mapped => ip.to_ipv6_mapped().into(),
            ip => ip,
        }
    }

    fn is_of_wire(&self, ip: &IpAddr) -> bool {
        ip.is_ipv4() == (self.wire_version == WireVersion::V4)
    }

    /// What was said where it is of the version, the defaults of the version elsewhere.
    fn resolve(&mut self) {
        self.wire_version = match self.version {
            IpVersion::V4 | IpVersion::V4Mapped => WireVersion::V4,
            IpVersion::V6 => WireVersion::V6,
        };
        let of_wire = |ip: Option<IpAddr>, four: Ipv4Addr, six: Ipv6Addr| {
            ip.filter(|ip| self.is_of_wire(ip)).unwrap_or(match self.wire_version {
                WireVersion::V4 => four.into(),
                WireVersion::V6 => six.into(),
            })
        };
        let remote = self.said.remote.filter(|(ip, _)| self.is_of_wire(ip));
        let ends = (
            of_wire(self.said.local, V4_LOCAL, V6_LOCAL),
            of_wire(self.said.remote.map(|(ip, _)| ip), V4_REMOTE, V6_REMOTE),
            of_wire(self.said.gateway, V4_GATEWAY, V6_GATEWAY),
        );
        (self.local, self.remote, self.gateway) = ends;
        let (own, other, longest) = match self.wire_version {
            WireVersion::V4 => (self.said.netmask.unwrap_or(V4_PREFIX), V4_REMOTE_PREFIX, 32),
            WireVersion::V6 => (V6_PREFIX, V6_REMOTE_PREFIX, 128),
        };
        self.prefix = own;
        self.remote_prefix = remote.map_or(other, |(_, len)| len.unwrap_or(longest));
    }
}

fn needed<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, String> {
    value.ok_or_else(|| format!("--{name}: expected a value"))
}

fn flag(name: &str, value: Option<&str>) -> Result<bool, String> {
    value.map_or(Ok(true), |value| Err(format!("--{name}={value}: takes no value")))
}

fn address(name: &str, value: Option<&str>) -> Result<IpAddr, String> {
    let text = needed(name, value)?;
    text.parse().map_err(|_| format!("--{name}={text}: expected an IP address"))
}

fn netmask(name: &str, value: Option<&str>) -> Result<u8, String> {
    let text = needed(name, value)?;
    let mask: Option<Ipv4Addr> = text.parse().ok();
    let bits = mask.map(u32::from).filter(|mask| mask.leading_ones() == mask.count_ones());
    bits.map(|bits| bits.leading_ones() as u8)
        .ok_or_else(|| format!("--{name}={text}: expected a mask as 255.255.0.0"))
}

fn number<T: TryFrom<u64>>(name: &str, value: Option<&str>, from: u64, to: u64) -> Result<T, String> {
    let text = needed(name, value)?;
    let number = text.parse::<u64>().ok().filter(|n| (from..=to).contains(n));
    number
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(|| format!("--{name}={text}: expected a number from {from} to {to}"))
}

#[cfg(test)]
mod tests;

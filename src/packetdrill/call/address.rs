//! Addresses, as scripts write them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::script::{Syscall, Value, ValueKind};
use super::failure::differs;
use super::value::{field, fields, int, integer, only, unexpected};
use super::{Calls, Result};
use crate::bsd::abi::{AF_INET, AF_INET6};

const NAMES: [&str; 6] = ["sa_family", "sin_family", "sin_port", "sin_addr", "sin6_port", "sin6_addr"];

/// What a script says of an address: `None` for what may be anything.
struct Said {
    ip: Option<IpAddr>,
    port: Option<u16>,
}

/// `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("192.0.2.1")}`.
fn said(value: &Value) -> Result<Said> {
    let fields = fields(value, "`...` or an address: `{sa_family=, sin_port=, sin_addr=}`")?;
    only(fields, &NAMES)?;
    let either = |one, other| field(fields, one).or_else(|| field(fields, other));
    let family = either("sa_family", "sin_family").map(int).transpose()?;
    let ip = either("sin_addr", "sin6_addr").map(ip).transpose()?.flatten();
    let port = either("sin_port", "sin6_port").map(port).transpose()?.flatten();
    match (family, ip) {
        (None, _) | (_, None) => {}
        (Some(AF_INET), Some(IpAddr::V4(_))) | (Some(AF_INET6), Some(IpAddr::V6(_))) => {}
        _ => return unexpected(value, "an address of the family that stands before it"),
    }
    Ok(Said { ip, port })
}

pub(super) fn ip(value: &Value) -> Result<Option<IpAddr>> {
    const WHAT: &str = "`inet_addr(\"…\")` or `inet6_addr(\"…\")`";
    let parts = match &value.kind {
        ValueKind::Ellipsis => return Ok(None),
        // What `inet_addr` gives, as it stands in memory.
        ValueKind::Integer(number) => {
            let octets = u32::try_from(*number).map(u32::to_ne_bytes);
            return octets
                .map_or_else(|_| unexpected(value, WHAT), |octets| Ok(Some(Ipv4Addr::from(octets).into())));
        }
        ValueKind::Call(name, args) if name == "inet_addr" || name == "inet6_addr" => args,
        _ => return unexpected(value, WHAT),
    };
    match parts.first().map(|part| &part.kind) {
        Some(ValueKind::Ellipsis) => Ok(None),
        Some(ValueKind::Text(octets, _)) => {
            let ip = std::str::from_utf8(octets).ok().and_then(|text| text.parse().ok());
            ip.map_or_else(|| unexpected(value, WHAT), |ip| Ok(Some(ip)))
        }
        _ => unexpected(value, WHAT),
    }
}

fn port(value: &Value) -> Result<Option<u16>> {
    match &value.kind {
        ValueKind::Ellipsis => Ok(None),
        ValueKind::Call(_, args) if matches!(args.first(), Some(Value { kind: ValueKind::Ellipsis, .. })) => {
            Ok(None)
        }
        _ => match u16::try_from(integer(value)?) {
            Ok(number) => Ok(Some(u16::from_be(number))),
            Err(_) => unexpected(value, "`htons(port)`"),
        },
    }
}

/// An address to give to a call: `...` is `default`, and in a structure that part of it.
pub(super) fn given(calls: &Calls, value: &Value, default: SocketAddr) -> Result<SocketAddr> {
    if value.kind == ValueKind::Ellipsis {
        return Ok(default);
    }
    let said = said(value)?;
    let ip = match said.ip {
        // The script says what stands in packets.
        Some(IpAddr::V4(ip)) if calls.addresses.domain == AF_INET6 => ip.to_ipv6_mapped().into(),
        Some(ip) => ip,
        None => default.ip(),
    };
    Ok(SocketAddr::new(ip, said.port.unwrap_or(default.port())))
}

/// As it stands in packets.
pub(super) fn of_packets(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Compares an address that a call gave with what the script says of it.
pub(super) fn compare(call: &Syscall, value: &Value, actual: Option<SocketAddr>) -> Result<()> {
    if value.kind == ValueKind::Ellipsis {
        return Ok(());
    }
    let said = said(value)?;
    let any = || "...".to_owned();
    let expected = (said.ip.map(|ip| ip.to_canonical()), said.port);
    let actual = actual.map(of_packets);
    let same = actual.is_some_and(|actual| {
        expected.0.is_none_or(|ip| ip == actual.ip()) && expected.1.is_none_or(|port| port == actual.port())
    });
    if same {
        return Ok(());
    }
    let ip = expected.0.map_or_else(any, |ip| ip.to_string());
    let expected = format!("{ip} port {}", expected.1.map_or_else(any, |port| port.to_string()));
    let actual = actual.map_or("none".to_owned(), |actual| format!("{} port {}", actual.ip(), actual.port()));
    Err(differs(call, value.span, "address", expected, actual))
}

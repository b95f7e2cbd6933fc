//! Values of options, in each form that a script may write them.

use super::super::script::{Field, Syscall, Value, ValueKind};
use super::address;
use super::failure::differs;
use super::tcp_info;
use super::value::{int, integer, number, only, shown, unexpected};
use super::{CallError, Result};

/// A structure as it stands in memory: its fields, each with its octets.
struct Layout(&'static [(&'static str, usize)]);

const LINGER: Layout = Layout(&[("onoff", 4), ("linger", 4)]);
const TIMEVAL: Layout = Layout(&[("tv_sec", 8), ("tv_usec", 8)]);

fn layout(fields: &[Field]) -> Option<&'static Layout> {
    let first = fields.first()?.name.as_deref()?;
    [&LINGER, &TIMEVAL].into_iter().find(|layout| layout.0.iter().any(|(name, _)| *name == first))
}

const WHAT: &str =
    "`[number]`, a text, an address, `{onoff=, linger=}`, `{tv_sec=, tv_usec=}` or `{tcpi_…=}`";

/// What is given to `setsockopt`.
pub(super) fn octets(value: &Value) -> Result<Vec<u8>> {
    match &value.kind {
        ValueKind::List(parts) => {
            let mut octets = Vec::new();
            for part in parts {
                octets.extend(int(part)?.to_ne_bytes());
            }
            Ok(octets)
        }
        ValueKind::Text(octets, false) => Ok(octets.clone()),
        ValueKind::Call(..) => match address::ip(value)? {
            Some(std::net::IpAddr::V4(ip)) => Ok(ip.octets().to_vec()),
            Some(std::net::IpAddr::V6(ip)) => Ok(ip.octets().to_vec()),
            None => unexpected(value, WHAT),
        },
        ValueKind::Struct(fields) => {
            let Some(layout) = layout(fields) else { return unexpected(value, WHAT) };
            only(fields, &names(layout))?;
            let mut octets = Vec::new();
            for (name, size) in layout.0 {
                let number = super::value::field(fields, name).map_or(Ok(0), integer)?;
                octets.extend(
                    &number.to_ne_bytes()
                        [if cfg!(target_endian = "little") { 0..*size } else { 8 - size..8 }],
                );
            }
            Ok(octets)
        }
        _ => unexpected(value, WHAT),
    }
}

fn names(layout: &Layout) -> Vec<&'static str> {
    layout.0.iter().map(|(name, _)| *name).collect()
}

/// Compares what `getsockopt` gave.
pub(super) fn compare(call: &Syscall, value: &Value, actual: &[u8]) -> Result<()> {
    match &value.kind {
        ValueKind::Ellipsis => Ok(()),
        ValueKind::List(parts) => {
            let mut came = actual.chunks(4);
            for part in parts {
                let octets = came.next().unwrap_or_default();
                if part.kind == ValueKind::Ellipsis {
                    continue;
                }
                // Of 32 bits both are, whatever the sign.
                let expected = int(part)?;
                let actual = number(octets) as u32 as i32;
                if octets.is_empty() || expected != actual {
                    return Err(differs(
                        call,
                        part.span,
                        "value",
                        expected.to_string(),
                        shown_number(octets),
                    ));
                }
            }
            Ok(())
        }
        ValueKind::Struct(fields) => structure(call, value, fields, actual),
        _ => {
            let expected = octets(value)?;
            let said = match &value.kind {
                ValueKind::Text(octets, _) => format!("\"{}\"", octets.escape_ascii()),
                _ => shown(value),
            };
            let came = || format!("\"{}\"", actual.escape_ascii());
            // What lies behind a text's end is of no account.
            let text = |octets: &[u8]| octets.split(|octet| *octet == 0).next().map(<[u8]>::to_vec);
            let same = match value.kind {
                ValueKind::Text(..) => text(&expected) == text(actual),
                _ => expected == actual,
            };
            if same { Ok(()) } else { Err(differs(call, value.span, "value", said, came())) }
        }
    }
}

fn shown_number(octets: &[u8]) -> String {
    match octets.len() {
        0 => "nothing".to_owned(),
        _ => (number(octets) as u32 as i32).to_string(),
    }
}

fn structure(call: &Syscall, value: &Value, fields: &[Field], actual: &[u8]) -> Result<()> {
    let came: Vec<(&str, u64)> = match layout(fields) {
        Some(layout) => {
            let mut at = 0;
            let field = |(name, size): &(&'static str, usize)| {
                let octets = actual.get(at..at + size).unwrap_or_default();
                at += size;
                (*name, number(octets))
            };
            layout.0.iter().map(field).collect()
        }
        None if fields
            .iter()
            .any(|field| field.name.as_deref().is_some_and(|name| name.starts_with("tcpi_"))) =>
        {
            tcp_info::fields(actual)
        }
        None => return unexpected(value, WHAT),
    };
    let names: Vec<&str> = came.iter().map(|(name, _)| *name).collect();
    only(fields, &names)?;
    for field in fields {
        let Some((name, actual)) = came.iter().find(|(name, _)| field.name.as_deref() == Some(name)) else {
            continue;
        };
        if field.value.kind == ValueKind::Ellipsis {
            continue;
        }
        let expected = integer(&field.value)?.cast_unsigned();
        if expected != *actual {
            return Err(differs(call, field.value.span, name, expected.to_string(), actual.to_string()));
        }
    }
    Ok(())
}

/// That the stack refuses what a script expects it to take.
pub(super) fn unsupported(call: &Syscall, what: &[&Value]) -> CallError {
    let what: Vec<String> = what.iter().map(|value| shown(value)).collect();
    CallError::Unsupported(format!("{}({})", call.name, what.join(", ")))
}

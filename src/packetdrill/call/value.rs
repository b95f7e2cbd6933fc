//! What values mean where they stand.

use std::ops::RangeInclusive;

use super::super::script::{Field, Syscall, Value, ValueKind};
use super::super::symbols;
use super::failure::of_script;
use super::{Calls, Errno, RawFd, Result};

/// The most octets that one call sends or takes. No script needs more, and it is made of memory.
const MOST_OCTETS: usize = 1 << 26;

/// As the script has it.
pub(super) fn shown(value: &Value) -> String {
    let list = |values: &[Value], between| values.iter().map(shown).collect::<Vec<_>>().join(between);
    match &value.kind {
        ValueKind::Ellipsis => "...".to_owned(),
        ValueKind::Integer(number) => number.to_string(),
        ValueKind::Word(word) => word.clone(),
        ValueKind::Text(octets, more) => {
            format!("\"{}\"{}", octets.escape_ascii(), if *more { "..." } else { "" })
        }
        ValueKind::Or(parts) => list(parts, "|"),
        ValueKind::Named(name, value) => format!("{name}={}", shown(value)),
        ValueKind::List(parts) => format!("[{}]", list(parts, ", ")),
        ValueKind::Call(name, args) => format!("{name}({})", list(args, ", ")),
        ValueKind::Struct(fields) => {
            let field = |field: &Field| {
                let count = field.count.as_ref().map_or(String::new(), |count| format!("({})", shown(count)));
                match &field.name {
                    Some(name) => format!("{name}{count}={}", shown(&field.value)),
                    None => shown(&field.value),
                }
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

/// That something else had to stand there.
pub(super) fn unexpected<T>(value: &Value, expected: &str) -> Result<T> {
    Err(of_script(value.span, format!("expected {expected}, found `{}`", shown(value))))
}

/// A number, a name, or several of them joined by `|`.
pub(super) fn integer(value: &Value) -> Result<i64> {
    match &value.kind {
        ValueKind::Integer(number) => Ok(*number),
        ValueKind::Word(name) => symbols::value(name).map_err(|what| of_script(value.span, what)),
        ValueKind::Or(parts) => parts.iter().try_fold(0, |all, part| Ok(all | integer(part)?)),
        ValueKind::Call(name, args) => match (name.as_str(), args.as_slice()) {
            ("htons" | "ntohs", [arg]) => match u16::try_from(integer(arg)?) {
                Ok(port) => Ok(port.to_be().into()),
                Err(_) => unexpected(arg, "a number of 16 bits"),
            },
            ("htonl" | "ntohl", [arg]) => match u32::try_from(integer(arg)?) {
                Ok(number) => Ok(number.to_be().into()),
                Err(_) => unexpected(arg, "a number of 32 bits"),
            },
            _ => unexpected(value, "a number"),
        },
        _ => unexpected(value, "a number"),
    }
}

/// The same of 32 bits, with a sign or without.
pub(super) fn int(value: &Value) -> Result<i32> {
    let number = integer(value)?;
    let unsigned = || u32::try_from(number).map(u32::cast_signed);
    i32::try_from(number).or_else(|_| unsigned()).or_else(|_| unexpected(value, "a number of 32 bits"))
}

/// The number of up to eight octets in the machine's order.
pub(super) fn number(octets: &[u8]) -> u64 {
    let shift = |number: u64, octet: &u8| number << 8 | u64::from(*octet);
    if cfg!(target_endian = "little") {
        octets.iter().rev().take(8).fold(0, shift)
    } else {
        octets.iter().take(8).fold(0, shift)
    }
}

/// What stands in `[a]`, by which calls give a number back. `None` for `...`.
pub(super) fn boxed(value: &Value) -> Result<Option<&Value>> {
    match &value.kind {
        ValueKind::Ellipsis => Ok(None),
        ValueKind::List(parts) => match parts.as_slice() {
            [Value { kind: ValueKind::Ellipsis, .. }] => Ok(None),
            [part] => Ok(Some(part)),
            _ => unexpected(value, "one number in brackets"),
        },
        _ => unexpected(value, "a number in brackets"),
    }
}

/// A number of octets.
pub(super) fn size(value: &Value) -> Result<usize> {
    let number = usize::try_from(integer(value)?).ok().filter(|size| *size <= MOST_OCTETS);
    number.map_or_else(|| unexpected(value, &format!("a number of octets from 0 to {MOST_OCTETS}")), Ok)
}

/// A structure's fields.
pub(super) fn fields<'a>(value: &'a Value, what: &str) -> Result<&'a [Field]> {
    match &value.kind {
        ValueKind::Struct(fields) => Ok(fields),
        _ => unexpected(value, what),
    }
}

/// An array's values.
pub(super) fn array<'a>(value: &'a Value, what: &str) -> Result<&'a [Value]> {
    match &value.kind {
        ValueKind::List(values) => Ok(values),
        _ => unexpected(value, what),
    }
}

/// A field by its name.
pub(super) fn field<'a>(fields: &'a [Field], name: &str) -> Option<&'a Value> {
    fields.iter().find(|field| field.name.as_deref() == Some(name)).map(|field| &field.value)
}

/// That a structure has no other fields than these.
pub(super) fn only(fields: &[Field], names: &[&str]) -> Result<()> {
    for field in fields {
        if !field.name.as_deref().is_some_and(|name| names.contains(&name)) {
            let found = field.name.clone().unwrap_or_else(|| shown(&field.value));
            let what = format!("expected one of the fields {}, found `{found}`", names.join(", "));
            return Err(of_script(field.value.span, what));
        }
    }
    Ok(())
}

/// `NULL`, or 0.
pub(super) fn is_null(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Integer(number) => *number == 0,
        ValueKind::Word(name) => name == "NULL",
        _ => false,
    }
}

/// The arguments of a call.
pub(super) struct Args<'a> {
    pub(super) call: &'a Syscall,
}

impl<'a> Args<'a> {
    /// That there are as many as the call takes.
    pub(super) fn count(&self, takes: RangeInclusive<usize>) -> Result<()> {
        let given = self.call.args.len();
        if takes.contains(&given) {
            return Ok(());
        }
        let (least, most) = takes.into_inner();
        let range = if least == most { least.to_string() } else { format!("{least} or {most}") };
        let what = format!("{} takes {range} arguments, not {given}", self.call.name);
        Err(of_script(self.call.span, what))
    }

    pub(super) fn get(&self, index: usize) -> Result<&'a Value> {
        let missing = || of_script(self.call.span, format!("{} lacks an argument", self.call.name));
        self.call.args.get(index).ok_or_else(missing)
    }

    pub(super) fn int(&self, index: usize) -> Result<i32> {
        int(self.get(index)?)
    }

    /// A descriptor of the script's.
    pub(super) fn live(&self, calls: &Calls, index: usize) -> Result<RawFd> {
        live(calls, self.get(index)?)
    }

    /// A buffer that `...` stands for, of as many octets as the argument behind it says; `EFAULT` for `NULL`.
    pub(super) fn buffer(&self, index: usize) -> Result<std::result::Result<Vec<u8>, Errno>> {
        let (place, size) = (self.get(index)?, size(self.get(index + 1)?)?);
        match place.kind {
            ValueKind::Ellipsis => Ok(Ok(vec![0; size])),
            _ if is_null(place) && size == 0 => Ok(Ok(Vec::new())),
            _ if is_null(place) => Ok(Err(Errno::FAULT)),
            _ => unexpected(place, "`...` or `NULL` for a buffer"),
        }
    }
}

/// A descriptor of the script's.
pub(super) fn live(calls: &Calls, value: &Value) -> Result<RawFd> {
    let fd = int(value)?;
    calls.live(fd).ok_or_else(|| of_script(value.span, format!("the script has no descriptor {fd} open")))
}

/// `[{..., 100}, {..., 200}]`: buffers of these sizes.
pub(super) fn buffers(value: &Value) -> Result<Vec<Vec<u8>>> {
    let mut total = 0;
    let mut buffers = Vec::new();
    for part in array(value, "an array of `{..., size}`")? {
        match fields(part, "`{..., size}`")? {
            [base, len] if base.name.is_none() && base.value.kind == ValueKind::Ellipsis => {
                let size = size(&len.value)?;
                total += size;
                if total > MOST_OCTETS {
                    return unexpected(value, &format!("at most {MOST_OCTETS} octets in all"));
                }
                buffers.push(vec![0; size]);
            }
            _ => return unexpected(part, "`{..., size}`"),
        }
    }
    Ok(buffers)
}

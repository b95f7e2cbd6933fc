//! What the names in scripts stand for.

mod errors;

mod files;

mod options;

mod sockets;

mod tcp;

mod waits;

/// Names and their numbers.
type Table = &'static [(&'static str, i64)];

/// A table of constants of `libc` by their names.
macro_rules! of_libc {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name as i64)),*] };
}
use of_libc;

/// The same number has its first name here when it is shown.
const TABLES: [Table; 12] = [
    sockets::FAMILIES,
    sockets::MESSAGES,
    sockets::ANCILLARY,
    options::SOCKET,
    options::IP,
    options::TCP,
    tcp::STATES,
    tcp::STATISTICS,
    waits::EVENTS,
    files::FLAGS,
    files::REQUESTS,
    errors::NUMBERS,
];

/// Names for values of `tcpi_state`, `tcpi_ca_state` and `tcpi_options`.
pub(super) const TCP_INFO: Table = tcp::STATES;

fn all() -> impl Iterator<Item = &'static (&'static str, i64)> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The number of a name.
///
/// # Errors
///
/// There is no such name: one line that says so and which known one is nearest, if one is near.
///
/// # Examples
///
/// ```
/// use tunstack::packetdrill::symbols;
///
/// assert_eq!(symbols::value("SO_REUSEADDR"), Ok(2));
/// let error = symbols::value("SO_REUSEADR").unwrap_err();
/// assert_eq!(error, "unknown name `SO_REUSEADR`: is `SO_REUSEADDR` meant?");
/// ```
pub fn value(name: &str) -> Result<i64, String> {
    all().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| unknown(name, "name"))
}

/// The number of an error's name, `EAGAIN`.
///
/// # Errors
///
/// As [`value`], of errors alone.
pub fn errno(name: &str) -> Result<i32, String> {
    let found = errors::NUMBERS.iter().find(|(known, _)| *known == name);
    found.and_then(|(_, value)| i32::try_from(*value).ok()).ok_or_else(|| unknown(name, "error"))
}

/// The name of an error; of several the one that Linux's manual has first.
pub fn errno_name(number: i32) -> Option<&'static str> {
    errors::NUMBERS.iter().find(|(_, value)| *value == i64::from(number)).map(|(name, _)| *name)
}

/// A number as names that begin with `prefix`, `POLLIN|POLLOUT`; what has no name in hexadecimal, and 0 as `0`.
pub(super) fn flags(prefix: &str, number: u32) -> String {
    let mut left = i64::from(number);
    let mut parts = Vec::new();
    for (name, value) in all().filter(|(name, _)| name.starts_with(prefix)) {
        if *value != 0 && left & value == *value {
            parts.push((*name).to_owned());
            left &= !value;
        }
    }
    if left != 0 {
        parts.push(format!("{left:#x}"));
    }
    if parts.is_empty() { "0".to_owned() } else { parts.join("|") }
}

fn unknown(name: &str, what: &str) -> String {
    let names = all().map(|(known, _)| *known);
    let hint = match what {
        "error" => nearest(name, errors::NUMBERS.iter().map(|(known, _)| *known)),
        _ => nearest(name, names),
    };
    match hint {
        Some(near) => format!("unknown {what} `{name}`: is `{near}` meant?"),
        None => format!("unknown {what} `{name}`"),
    }
}

/// The name that fewest changes make of `name`, if these are few.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// No name is longer, and nobody means one by something longer.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let few = (name.len() / 3).max(1);
    let changes = names.map(|known| (distance(name.as_bytes(), known.as_bytes()), known));
    changes.min_by_key(|(changes, _)| *changes).filter(|(changes, _)| *changes <= few).map(|(_, known)| known)
}

/// Octets to insert, to take out or to replace, whatever their case.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = corner + usize::from(!a.eq_ignore_ascii_case(b));
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests;

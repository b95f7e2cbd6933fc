//! Linux's sysctls, as names for our settings.
//!
//! Scripts, manuals and administrators name the settings of a stack as Linux does. [`set`] takes such a name with a value as
//! Linux takes it and changes a [`Config`]; [`read_from`] takes over what a tree like `/proc/sys` holds. [`rows`] is the
//! table behind both. What is in it is either obeyed, or *noted*: taken without an effect, because it governs what this stack
//! does in one way only, or not yet. What is not in it is refused by name.
//!
//! ```
//! use tunstack::sysctl::{self, Effect};
//!
//! let mut config = tunstack::core::config::Config::default();
//! assert_eq!(sysctl::set(&mut config, "net.ipv4.tcp_synack_retries", "2")?, Effect::Set);
//! assert_eq!(config.tcp.syn_ack_retries, 2);
//! sysctl::set(&mut config, "/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456")?;
//! assert!(matches!(sysctl::set(&mut config, "net.ipv4.tcp_rfc1337", "0")?, Effect::Noted(_)));
//! let error = sysctl::set(&mut config, "net.ipv4.ip_default_ttl", "0").unwrap_err();
//! assert_eq!(error.to_string(), "net.ipv4.ip_default_ttl takes a number from 1 to 255, not \"0\"");
//! # Ok::<(), sysctl::SysctlError>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tunstack_core::config::Config;

mod value;

mod table;

mod noted;

#[cfg(test)]
mod tests;

pub use table::{Effect, Row};
pub use value::Values;

/// Why a sysctl was refused. As text it is one line.
#[derive(Debug)]
pub enum SysctlError {
    /// No row has that name.
    Unknown(String),
    /// The value is not one it takes.
    Value {
        /// The sysctl.
        row: &'static Row,
        /// What it was to be.
        value: String,
    },
    /// A file that is there could not be read.
    Unreadable(PathBuf, io::Error),
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "no such sysctl here: {}", name.escape_debug()),
            Self::Value { row, value } => write!(f, "{} takes {}, not {value:?}", row.name(), row.values()),
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for SysctlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Gives a sysctl a value. The name has dots or slashes, with or without `/proc/sys/` before it, or `/sys/` for
/// parameters of modules; numbers are decimal,
/// octal with a leading 0 or hexadecimal with a leading 0x, and several of them have blanks between them. Of three that belong
/// together the last may be left out, and stay as they are.
///
/// A socket takes over its settings when it is made, as in Linux; what a stack has been made with it keeps.
///
/// # Errors
/// [`SysctlError::Unknown`], and [`SysctlError::Value`] with nothing changed.
pub fn set(config: &mut Config, name: &str, value: &str) -> Result<Effect, SysctlError> {
    let row = find(name).ok_or_else(|| SysctlError::Unknown(name.trim().to_owned()))?;
    row.apply(config, value).ok_or_else(|| SysctlError::Value { row, value: value.trim().to_owned() })
}

/// All there are, those that set something first.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    table::OBEYED.iter().chain(noted::NOTED)
}

/// The row of that name, written as [`set`] takes it.
pub fn find(name: &str) -> Option<&'static Row> {
    let name = name.trim();
    let dotted: Cow<'_, str> = match name.contains('/') {
        false => name.into(),
        true => {
            let below = name.strip_prefix("/proc/sys/").or_else(|| name.strip_prefix("/sys/"));
            below.unwrap_or(name).replace('/', ".").into()
        }
    };
    rows().find(|row| row.name() == dotted)
}

/// What [`read_from`] has done.
#[derive(Debug, Default)]
pub struct Reading {
    /// The rows that were taken over.
    pub taken: Vec<&'static Row>,
    /// The values that were passed over, each a [`SysctlError::Value`]: Linux takes more than there is here. The settings
    /// that they are for stay as they were.
    pub refused: Vec<SysctlError>,
}

/// Takes over what files below `root`, a tree like `/proc/sys` or, for parameters of modules, `/sys`, say: all rows
/// that are obeyed and have a file there. Gives
/// those rows, and the values that have no counterpart here, such as an algorithm of congestion control that is not there: none
/// of these keeps the rest from being read. Rows that are only noted are not read: some of them only root may read. Passed over
/// without a word are secrets that only root may read or that are all zero, as Linux shows them before it has made any: whoever
/// knows them makes cookies.
///
/// # Errors
/// [`SysctlError::Unreadable`] for a file that is there. What comes before it in the table has been taken over then.
pub fn read_from(root: &Path, config: &mut Config) -> Result<Reading, SysctlError> {
    let mut reading = Reading::default();
    for row in rows().filter(|row| row.noted().is_none()) {
        let path = root.join(row.name().replace('.', "/"));
        match std::fs::read_to_string(&path) {
            Ok(value) if row.values() == Values::Secrets && value::is_unmade(&value) => {}
            Ok(value) => match set(config, row.name(), &value) {
                Ok(_) => reading.taken.push(row),
                Err(error) => reading.refused.push(error),
            },
            Err(error) if is_passed_over(row, &error) => {}
            Err(error) => return Err(SysctlError::Unreadable(path, error)),
        }
    }
    Ok(reading)
}

fn is_passed_over(row: &Row, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound => true,
        io::ErrorKind::PermissionDenied => row.values() == Values::Secrets,
        _ => false,
    }
}

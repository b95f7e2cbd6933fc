//! A row of the table of options: how one is read and written.

use rustix::io::Errno;
use tunstack_core::sockopt::SocketOptions;

use super::super::Result;
use super::super::file::{File, Kind, errno};

/// Reads an `int`.
pub(super) type Get = fn(&File) -> Result<i32>;

/// What a value that a program writes becomes, or `EINVAL`.
pub(super) type Normal = fn(i32) -> Result<i32>;

/// One option of a level.
pub(super) struct Row(pub(super) i32, pub(super) How);

/// How an option is read and written.
pub(super) enum How {
    /// On or off, in the stack's options.
    Flag(fn(&mut SocketOptions) -> &mut bool),
    /// An `int`.
    Int(Get, fn(&File, i32) -> Result<()>),
    /// An `int` that is only read: to write it is `ENOPROTOOPT`, on Linux too.
    Read(Get),
    /// An `int` on which nothing here depends: it has this value, until one is written that is given back then.
    Hint(i32, Normal),
    /// An `int` that Linux lets programs change and this stack does not: to write the value that it has succeeds,
    /// any other is `ENOPROTOOPT`.
    Stays(Get, Normal),
    /// On or off: whether datagrams bring control messages, which they do not yet. TCP never does, so that it is
    /// a hint there.
    OfDatagrams,
    /// A layout of its own. To read: all of it, of which the caller may have room for the first octets only.
    Octets(fn(&File, usize) -> Result<Vec<u8>>, fn(&File, &[u8]) -> Result<()>),
}

/// The `int` in the first octets of a value; a longer one is fine.
pub(super) fn int(value: &[u8]) -> Option<i32> {
    value.first_chunk().map(|octets| i32::from_ne_bytes(*octets))
}

/// For options that are only read.
pub(super) fn read_only(_: &File, _: &[u8]) -> Result<()> {
    Err(Errno::NOPROTOOPT)
}

/// Zero, of what is not there.
pub(super) fn off(_: &File) -> Result<i32> {
    Ok(0)
}

/// Any value.
pub(super) fn any(value: i32) -> Result<i32> {
    Ok(value)
}

/// Whatever is not zero is 1.
pub(super) fn flag(value: i32) -> Result<i32> {
    Ok(i32::from(value != 0))
}

/// From `LEAST` to `MOST`, both included.
pub(super) fn within<const LEAST: i32, const MOST: i32>(value: i32) -> Result<i32> {
    if (LEAST..=MOST).contains(&value) { Ok(value) } else { Err(Errno::INVAL) }
}

/// Zero or more.
pub(super) fn natural(value: i32) -> Result<i32> {
    within::<0, { i32::MAX }>(value)
}

impl File {
    pub(super) fn options(&self) -> Result<SocketOptions> {
        self.socket.options().map_err(errno)
    }

    pub(super) fn change_options(&self, change: impl FnOnce(&mut SocketOptions)) -> Result<()> {
        self.socket.change_options(change).map_err(errno)
    }
}

impl How {
    /// The `int` of an option, `None` where it has a layout of its own.
    pub(super) fn get(&self, file: &File, level: i32, name: i32) -> Option<Result<i32>> {
        Some(match self {
            Self::Flag(place) => file.options().map(|mut options| i32::from(*place(&mut options))),
            Self::Int(get, _) | Self::Read(get) | Self::Stays(get, _) => get(file),
            Self::OfDatagrams => Ok(file.hints.get(level, name).unwrap_or(0)),
            Self::Hint(first, _) => Ok(file.hints.get(level, name).unwrap_or(*first)),
            Self::Octets(..) => return None,
        })
    }

    /// Writes an `int`; `None` where the option has a layout of its own.
    pub(super) fn set(&self, file: &File, level: i32, name: i32, value: i32) -> Option<Result<()>> {
        Some(match self {
            Self::Flag(place) => file.change_options(|options| *place(options) = value != 0),
            Self::Int(_, set) => set(file, value),
            Self::Read(_) => Err(Errno::NOPROTOOPT),
            Self::Hint(_, normal) => normal(value).map(|value| file.hints.set(level, name, value)),
            Self::OfDatagrams if file.kind == Kind::Datagram && value != 0 => Err(Errno::NOPROTOOPT),
            Self::OfDatagrams => flag(value).map(|value| file.hints.set(level, name, value)),
            Self::Stays(get, normal) => match (normal(value), get(file)) {
                (Ok(asked), Ok(has)) if asked == has => Ok(()),
                (Ok(_), Ok(_)) => Err(Errno::NOPROTOOPT),
                (Err(error), _) | (_, Err(error)) => Err(error),
            },
            Self::Octets(..) => return None,
        })
    }
}

//! The stack's errors as the standard library's, and what ends an engine.

use std::io;

use tunstack_core::error::Error;

/// The stack's error as the operating system's number for it, which gives `kind()`, `raw_os_error()` and
/// the text that programs know in one stroke.
pub fn io_error(error: Error) -> io::Error {
    io::Error::from_raw_os_error(error.errno())
}

/// Why an engine works no more. Every later call gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was shut down.
    Stopped,
    /// Its device failed: the kind and number if there is one, and what it said.
    Device(io::ErrorKind, Option<i32>, String),
    /// A thread panicked while it held the stack, which may be left in the middle of a change.
    Poisoned,
}

impl Failure {
    /// The device's error, kept so that it can be given to many.
    pub(crate) fn device(error: &io::Error) -> Self {
        Self::Device(error.kind(), error.raw_os_error(), error.to_string())
    }

    /// What a call gives.
    pub(crate) fn to_io(&self) -> io::Error {
        match self {
            Self::Stopped => io::Error::from_raw_os_error(rustix::io::Errno::SHUTDOWN.raw_os_error()),
            Self::Device(_, Some(errno), _) => io::Error::from_raw_os_error(*errno),
            Self::Device(kind, None, text) => io::Error::new(*kind, text.clone()),
            Self::Poisoned => io::Error::other("a thread panicked inside the stack"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind as Kind;

    use super::*;

    #[test]
    fn kinds_are_those_of_std() {
        for (error, kind) in [
            (Error::WouldBlock, Kind::WouldBlock),
            (Error::Refused, Kind::ConnectionRefused),
            (Error::Reset, Kind::ConnectionReset),
            (Error::Aborted, Kind::ConnectionAborted),
            (Error::BrokenPipe, Kind::BrokenPipe),
            (Error::TimedOut, Kind::TimedOut),
            (Error::NotConnected, Kind::NotConnected),
            (Error::AddrInUse, Kind::AddrInUse),
            (Error::AddrNotAvailable, Kind::AddrNotAvailable),
            (Error::HostUnreachable, Kind::HostUnreachable),
            (Error::NetUnreachable, Kind::NetworkUnreachable),
            (Error::Invalid, Kind::InvalidInput),
            (Error::Access, Kind::PermissionDenied),
        ] {
            assert_eq!(io_error(error).kind(), kind, "{error:?}");
        }
    }

    #[test]
    fn a_failure_keeps_what_the_device_said() {
        let raw = Failure::device(&io::Error::from_raw_os_error(19)).to_io();
        assert_eq!(raw.raw_os_error(), Some(19));
        let text = Failure::device(&io::Error::new(Kind::UnexpectedEof, "cable cut")).to_io();
        assert_eq!((text.kind(), text.to_string().as_str()), (Kind::UnexpectedEof, "cable cut"));
    }
}

//! From what a program writes to addresses of the stack.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use tunstack_core::addr::Family;

/// Tries each address that `addr` stands for until one works.
///
/// # Errors
/// That of the last one; `InvalidInput` when there is none.
pub(super) fn each<T>(
    addr: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in addr.to_socket_addrs()? {
        match attempt(addr) {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(none))
}

/// The first address that `addr` stands for.
pub(super) fn first(addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    addr.to_socket_addrs()?.next().ok_or_else(none)
}

/// The family of an address.
pub(super) const fn family(addr: &SocketAddr) -> Family {
    match addr {
        SocketAddr::V4(_) => Family::V4,
        SocketAddr::V6(_) => Family::V6,
    }
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_works_or_the_last_error() {
        let addrs: Vec<SocketAddr> = vec!["10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()];
        let second = each(&addrs[..], |a| if a.port() == 2 { Ok(a) } else { Err(io::Error::other("no")) });
        assert_eq!(second.unwrap(), addrs[1]);
        let error = each(&addrs[..], |a| Err::<(), _>(io::Error::other(a.to_string()))).unwrap_err();
        assert_eq!(error.to_string(), "10.0.0.2:2");
        let none = each(&[][..], |_| Ok(())).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::InvalidInput);
    }
}

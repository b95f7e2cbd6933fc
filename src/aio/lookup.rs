//! From what a program writes to addresses, without keeping a task's thread waiting for a resolver.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

/// What stands for one or more socket addresses, as [`std::net::ToSocketAddrs`] does.
///
/// Numeric addresses ask nobody. A name is looked up by the *host's* resolver over the host's network, on a thread
/// made for it. The trait is sealed.
pub trait ToSocketAddrs: Lookup {}

impl<T: Lookup + ?Sized> ToSocketAddrs for T {}

/// What is known without asking anybody, and what is not.
pub enum Answer {
    /// Numeric addresses.
    Known(Vec<SocketAddr>),
    /// `name:port`.
    Ask(String),
}

/// The half of the trait that has no name outside.
pub trait Lookup {
    /// What is known without asking anybody.
    fn look(&self) -> Answer;
}

/// The addresses that `addr` stands for.
///
/// # Errors
/// The resolver's; `InvalidInput` for what is neither an address nor a name with a port, or when there is no address.
pub(super) async fn lookup(addr: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let found = match addr.look() {
        Answer::Known(found) => found,
        Answer::Ask(name) => ask(name).await?,
    };
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to"));
    }
    Ok(found)
}

/// What a resolver's thread and the task that waits for it have in common.
#[derive(Default)]
struct Question {
    answer: Option<io::Result<Vec<SocketAddr>>>,
    waker: Option<Waker>,
}

async fn ask(name: String) -> io::Result<Vec<SocketAddr>> {
    let question = Arc::new(Mutex::new(Question::default()));
    let asked = Arc::clone(&question);
    thread::Builder::new().name("tunstack-lookup".into()).spawn(move || {
        let answer = std::net::ToSocketAddrs::to_socket_addrs(&name).map(Iterator::collect);
        let mut question = asked.lock().unwrap_or_else(PoisonError::into_inner);
        question.answer = Some(answer);
        let waker = question.waker.take();
        drop(question);
        waker.map(Waker::wake)
    })?;
    poll_fn(|cx| {
        let mut question = question.lock().unwrap_or_else(PoisonError::into_inner);
        match question.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                question.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

macro_rules! numeric {
    ($($type:ty),*) => {$(
        impl Lookup for $type {
            fn look(&self) -> Answer {
                Answer::Known(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}

numeric!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl Lookup for [SocketAddr] {
    fn look(&self) -> Answer {
        Answer::Known(self.to_vec())
    }
}

impl Lookup for str {
    fn look(&self) -> Answer {
        match self.parse() {
            Ok(addr) => Answer::Known(vec![addr]),
            Err(_) => Answer::Ask(self.to_owned()),
        }
    }
}

impl Lookup for String {
    fn look(&self) -> Answer {
        self.as_str().look()
    }
}

impl Lookup for (&str, u16) {
    fn look(&self) -> Answer {
        match self.0.parse::<IpAddr>() {
            Ok(ip) => (ip, self.1).look(),
            Err(_) => Answer::Ask(format!("{}:{}", self.0, self.1)),
        }
    }
}

impl Lookup for (String, u16) {
    fn look(&self) -> Answer {
        (self.0.as_str(), self.1).look()
    }
}

impl<T: Lookup + ?Sized> Lookup for &T {
    fn look(&self) -> Answer {
        (**self).look()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::{block_on, limited};

    #[test]
    fn numbers_ask_nobody() {
        let v4 = SocketAddr::from(([10, 7, 0, 2], 80));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        let known = |answer| match answer {
            Answer::Known(known) => known,
            Answer::Ask(name) => panic!("{name} is asked for"),
        };
        assert_eq!(known("10.7.0.2:80".look()), [v4]);
        assert_eq!(known(String::from("[::1]:80").look()), [v6]);
        assert_eq!(known(("::1", 80).look()), [v6]);
        assert_eq!(known([v4, v6][..].look()), [v4, v6]);
        assert_eq!(known((Ipv4Addr::new(10, 7, 0, 2), 80).look()), [v4]);
    }

    #[test]
    fn names_are_looked_up_and_nonsense_is_refused() {
        limited(|| {
            let found = block_on(lookup("localhost:80")).unwrap();
            assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 80), "{found:?}");
            let found = block_on(lookup((String::from("localhost"), 81))).unwrap();
            assert!(found.iter().all(|addr| addr.port() == 81), "{found:?}");
            for bad in ["", "10.7.0.2", "10.7.0.2:x"] {
                assert_eq!(block_on(lookup(bad)).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{bad}");
            }
            assert_eq!(block_on(lookup(&[][..])).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        });
    }
}

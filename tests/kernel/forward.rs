//! Devices around others.

/// The named methods of a device that are those of the one in its field `$inner`.
macro_rules! forward {
    ($inner:ident: $($method:ident)*) => {
        $(forward!(@$method $inner);)*
    };
    (@recv $inner:ident) => {
        fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
            self.$inner.recv(now, frames)
        }
    };
    (@send $inner:ident) => {
        fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
            self.$inner.send(now, datagram)
        }
    };
    (@settled $inner:ident) => {
        fn settled(&self, now: Instant, inbound: &Inbound<'_>, received: &Received) {
            self.$inner.settled(now, inbound, received);
        }
    };
    (@deadline $inner:ident) => {
        fn deadline(&self) -> Option<Instant> {
            self.$inner.deadline()
        }
    };
    (@capabilities $inner:ident) => {
        fn capabilities(&self) -> Capabilities {
            self.$inner.capabilities()
        }
    };
    (@readable $inner:ident) => {
        fn readable(&self) -> BorrowedFd<'_> {
            self.$inner.readable()
        }
    };
}

pub(crate) use forward;

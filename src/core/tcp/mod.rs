//! TCP (RFC 9293), one file a concern.
//!
//! ```text
//!                             +---------+ ---------\      active OPEN
//!                             |  CLOSED |            \    -----------
//!                             +---------+<---------\   \   create TCB
//!                               |     ^              \   \  snd SYN
//!                  passive OPEN |     |   CLOSE        \   \
//!                  ------------ |     | ----------       \   \
//!                   create TCB  |     | delete TCB         \   \
//!                               V     |                      \   \
//!           rcv RST (note 1)  +---------+            CLOSE    |    \
//!        -------------------->|  LISTEN |          ---------- |     |
//!       /                     +---------+          delete TCB |     |
//!      /           rcv SYN      |     |     SEND              |     |
//!     /           -----------   |     |    -------            |     V
//! +--------+      snd SYN,ACK  /       \   snd SYN          +--------+
//! |        |<-----------------           ------------------>|        |
//! |  SYN   |                    rcv SYN                     |  SYN   |
//! |  RCVD  |<-----------------------------------------------|  SENT  |
//! |        |                  snd SYN,ACK                   |        |
//! |        |------------------           -------------------|        |
//! +--------+   rcv ACK of SYN  \       /  rcv SYN,ACK       +--------+
//!    |         --------------   |     |   -----------
//!    |                x         |     |     snd ACK
//!    |                          V     V
//!    |  CLOSE                 +---------+
//!    | -------                |  ESTAB  |
//!    | snd FIN                +---------+
//!    |                 CLOSE    |     |    rcv FIN
//!    V                -------   |     |    -------
//! +---------+         snd FIN  /       \   snd ACK         +---------+
//! |  FIN    |<----------------          ------------------>|  CLOSE  |
//! | WAIT-1  |------------------                            |   WAIT  |
//! +---------+          rcv FIN  \                          +---------+
//!   | rcv ACK of FIN   -------   |                          CLOSE  |
//!   | --------------   snd ACK   |                         ------- |
//!   V        x                   V                         snd FIN V
//! +---------+               +---------+                    +---------+
//! |FINWAIT-2|               | CLOSING |                    | LAST-ACK|
//! +---------+               +---------+                    +---------+
//!   |              rcv ACK of FIN |                 rcv ACK of FIN |
//!   |  rcv FIN     -------------- |    Timeout=2MSL -------------- |
//!   |  -------            x       V    ------------        x       V
//!    \ snd ACK              +---------+delete TCB          +---------+
//!      -------------------->|TIME-WAIT|------------------->| CLOSED  |
//!                           +---------+                    +---------+
//! ```
//!
//! *RFC 9293 Figure 5. Note 1: the transition from SYN-RECEIVED to LISTEN on a reset is that of a passive
//! open.*

pub use crate::seq;

pub mod state;

pub mod trace;

pub mod isn;

pub mod segment;

pub mod snd;

pub mod syn_cookie;

pub mod rcv;

pub mod timestamps;

pub mod rtt;

pub mod timers;

mod pacer;

pub mod tally;

pub mod mishaps;

pub mod limits;

pub mod buffer;

pub mod congestion;

pub mod recovery;

pub mod acc_ecn;

pub mod ecn;

pub mod fast_open;

pub mod mtu_search;

pub mod context;

pub mod tcb;

mod scarcity;

pub mod output;

pub mod response;

pub mod marks;

pub mod info;

pub mod input;

pub mod early;

pub mod timeout;

pub mod user_timeout;

pub mod request;

pub mod mtu;

pub mod time_wait;

pub mod listener;

/// Short cuts for what is usual, as tests have to do with them: to be closed, and to be counted.
#[cfg(test)]
pub(crate) mod short_cuts {
    extern crate std;

    use core::cell::Cell;

    std::thread_local! {
        static CLOSED: Cell<bool> = const { Cell::new(false) };
        static TAKEN: Cell<usize> = const { Cell::new(0) };
    }

    /// From here on none is taken in this thread, or any may be.
    pub(crate) fn close(closed: bool) {
        CLOSED.set(closed);
    }

    /// Whether none is to be taken.
    pub(crate) fn are_closed() -> bool {
        CLOSED.get()
    }

    /// One is being taken.
    pub(crate) fn taken() {
        TAKEN.set(TAKEN.get() + 1);
    }

    /// How many were taken in this thread.
    pub(crate) fn count() -> usize {
        TAKEN.get()
    }
}

//! The octets between the program and the network.
//!
//! ```text
//! program ─ write ─► SendBuffer ─ slice ─► network ─► Reassembly ─ take ─► ReceiveBuffer ─ read ─► program
//! ```
//!
//! None of them allocates while it is empty, so an idle connection costs its record and nothing more.

pub(crate) mod chunk;

mod records;

pub mod spares;

pub mod send;

pub mod receive;

pub mod ranges;

pub mod reassembly;

pub mod right_sizing;

pub use ranges::SeqRanges;
pub use reassembly::{Inserted, Reassembly};
pub use receive::ReceiveBuffer;
pub use send::SendBuffer;
pub use spares::Spares;

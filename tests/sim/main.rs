//! Scenarios in the simulated world.

#[path = "../common/smol.rs"]
mod smol;

mod pair;

mod bulk;
mod many;
mod scripts;

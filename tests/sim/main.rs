//! Scenarios in the simulated world.

#[path = "../common/smol.rs"]
mod smol;

mod pair;

mod black_hole;
mod bulk;
mod congestion;
mod congestion_grid;
mod congestion_repairs;
mod cubic_model;
mod grid;
mod many;
mod marking;
mod matrix;
mod mtu;
mod repairs;
mod scripts;
mod sharing;
mod transfers;
mod tuning;
mod utilisation;

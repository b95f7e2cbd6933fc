//! Instructions of the core for each step of a segment, counted by callgrind and held against `expected.txt`.
//!
//! `cargo run -p tunstack-benches --profile counted --bin instructions`; with `UPDATE=1` in the environment what was
//! counted becomes what is expected.
//!
//! Counted is the code of this program, which is the core's: not what memcpy and malloc of the C library do, which
//! differs from machine to machine. How often memory is allocated is counted too, and gated exactly.

mod allocator;

mod callgrind;

mod expected;

mod steps;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use callgrind::Counts;
use steps::STEPS;

/// How a run of this program is told that callgrind looks on.
const OBSERVED: &str = "--observed";

fn main() -> ExitCode {
    let result = if env::args().any(|a| a == OBSERVED) { steps::run_all().map(|()| true) } else { judge() };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts and compares; says whether all is as expected.
fn judge() -> Result<bool, Box<dyn Error>> {
    let counts = callgrind::count(STEPS.len())?;
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions/expected.txt");
    let counted: Vec<(&str, Counts)> = STEPS.iter().map(|step| step.name).zip(counts).collect();
    if env::var_os("UPDATE").is_some() {
        expected::write(&file, &counted)?;
        println!("{} is written", file.display());
        return Ok(true);
    }
    expected::compare(&file, &counted)
}

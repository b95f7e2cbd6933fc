//! What is expected, in a file, and how far it may be missed.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::callgrind::Counts;

/// How far a count may lie off, both ways: what has become faster is to be recorded, or it could be lost again unseen.
const ROOM: f64 = 0.03;

const HEAD: &str = "\
# Instructions and allocations for each segment, or whatever the step is done to. Made by
# UPDATE=1 cargo run -p tunstack-benches --profile counted --bin instructions
";

/// The compiler that made this program.
fn compiler() -> &'static str {
    env!("TUNSTACK_RUSTC")
}

pub(crate) fn write(file: &Path, counted: &[(&str, Counts)]) -> Result<(), Box<dyn Error>> {
    let mut text = format!("{HEAD}# with {}\n", compiler());
    for (name, counts) in counted {
        text += &format!("{name:30} {:8.1} {:6.2}\n", counts.instructions, counts.allocations);
    }
    Ok(fs::write(file, text)?)
}

pub(crate) fn compare(file: &Path, counted: &[(&str, Counts)]) -> Result<bool, Box<dyn Error>> {
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    if lines.len() != counted.len() {
        return Err(
            format!("{}: {} steps, and there are {}", file.display(), lines.len(), counted.len()).into()
        );
    }
    let mut good = true;
    println!("{:30} {:>8} {:>8} {:>7}  allocations", "", "expected", "counted", "");
    for (line, (name, counts)) in lines.iter().zip(counted) {
        let expected = parse(line, name).ok_or_else(|| format!("{}: {line:?}", file.display()))?;
        let off = counts.instructions / expected.instructions - 1.0;
        let allocates = (counts.allocations - expected.allocations).abs() > 0.011;
        let verdict = match () {
            () if allocates => format!("  <- allocations, not {:.2}", expected.allocations),
            () if off > ROOM => "  <- more".to_owned(),
            () if off < -ROOM => "  <- fewer: to be recorded".to_owned(),
            () => String::new(),
        };
        good &= verdict.is_empty();
        println!(
            "{name:30} {:8.1} {:8.1} {:+6.1}% {:12.2}{verdict}",
            expected.instructions,
            counts.instructions,
            100.0 * off,
            counts.allocations,
        );
    }
    if !good {
        eprintln!("instructions: more than {} % off {}", 100.0 * ROOM, file.display());
        eprintln!(
            "If that is meant: UPDATE=1 cargo run -p tunstack-benches --profile counted --bin instructions"
        );
        if !text.contains(compiler()) {
            eprintln!("It was made by another compiler than {}.", compiler());
        }
    }
    Ok(good)
}

fn parse(line: &str, name: &str) -> Option<Counts> {
    let mut words = line.strip_prefix(name)?.split_whitespace();
    let instructions = words.next()?.parse().ok()?;
    let allocations = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Counts { instructions, allocations })
}

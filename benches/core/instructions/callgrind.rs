//! Callgrind: running this program under it, and reading what it counted.

use std::env;
use std::error::Error;
use std::fs;
use std::process::{self, Command, Stdio};

use crate::OBSERVED;

/// What one step cost, for each of the segments, or whatever it is done to.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Counts {
    /// Instructions of this program.
    pub(crate) instructions: f64,
    /// How often memory was asked for.
    pub(crate) allocations: f64,
}

/// Runs the steps and gives the counts of each of them, of which there are `steps`.
pub(crate) fn count(steps: usize) -> Result<Vec<Counts>, Box<dyn Error>> {
    let folder = env::temp_dir().join(format!("tunstack-instructions-{}", process::id()));
    fs::create_dir(&folder)?;
    let counts = observe(&folder, steps);
    fs::remove_dir_all(&folder)?;
    counts
}

fn observe(folder: &std::path::Path, steps: usize) -> Result<Vec<Counts>, Box<dyn Error>> {
    let program = env::current_exe()?;
    let out = folder.join("counts");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--compress-strings=no", "--compress-pos=no"])
        .arg("--toggle-collect=instructions::steps::counted*")
        .arg("--dump-after=instructions::steps::end_of_step*")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&program)
        .arg(OBSERVED)
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .output();
    let run = run.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "valgrind is missing, which counts the instructions: apt-get install valgrind".to_owned()
        }
        _ => format!("valgrind: {error}"),
    })?;
    if !run.status.success() {
        return Err(format!("valgrind: {}\n{}", run.status, String::from_utf8_lossy(&run.stderr)).into());
    }
    let program = program.display().to_string();
    let said = String::from_utf8(run.stdout)?;
    if said.lines().count() != steps {
        return Err(format!("{steps} steps, and {} of them were run", said.lines().count()).into());
    }
    (1..)
        .zip(said.lines())
        .map(|(part, said)| counts(&format!("{}.{part}", out.display()), said, &program))
        .collect()
}

/// Each step says on a line how often it was done, and how often it had memory allocated.
fn counts(part: &str, said: &str, program: &str) -> Result<Counts, Box<dyn Error>> {
    let (times, allocations) = said.split_once(' ').ok_or("a step is to say two numbers")?;
    let (times, allocations): (f64, f64) = (times.parse()?, allocations.parse()?);
    let instructions = sum(&fs::read_to_string(part)?, program)?;
    if instructions == 0 {
        return Err(format!("{part}: nothing was counted").into());
    }
    Ok(Counts { instructions: instructions as f64 / times, allocations: allocations / times })
}

/// Of callgrind's format: the cost of the functions of `program` itself.
fn sum(part: &str, program: &str) -> Result<u64, Box<dyn Error>> {
    let mut instructions = 0;
    let mut object = "";
    let mut of_callee = false;
    for line in part.lines() {
        if let Some(name) = line.strip_prefix("ob=") {
            object = name;
        } else if line.starts_with("calls=") {
            // The next line has what the callee cost, which is counted where it stands itself.
            of_callee = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit()) {
            let cost = line.split(' ').nth(1).unwrap_or_default();
            if !of_callee && object == program {
                instructions += cost.parse::<u64>()?;
            }
            of_callee = false;
        }
    }
    Ok(instructions)
}

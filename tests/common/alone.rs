//! Runs each test in a process of its own, on its first thread.

use std::env;
use std::process::{Command, ExitCode, abort, exit};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

/// Names the test in the environment of its process.
const TEST: &str = "TUNSTACK_TEST_ALONE";

/// Far beyond what any test takes.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn main(tests: &'static [(&'static str, fn())]) -> ExitCode {
    if let Ok(name) = env::var(TEST) {
        let Some((_, test)) = tests.iter().find(|(known, _)| *known == name) else { exit(2) };
        thread::spawn(|| {
            thread::sleep(LIMIT);
            eprintln!("it hangs");
            abort();
        });
        test();
        return ExitCode::SUCCESS;
    }
    let trials = tests.iter().map(|(name, _)| Trial::test(*name, move || in_process(name))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn in_process(name: &str) -> Result<(), Failed> {
    let output = Command::new(env::current_exe()?).env(TEST, name).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        // That it was skipped, and why.
        eprint!("{said}");
        return Ok(());
    }
    Err(format!("{}\n{said}", output.status).into())
}

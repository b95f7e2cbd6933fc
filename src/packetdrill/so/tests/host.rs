//! The library as packetdrill loads it, by a small program in C that does the same.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Where the library that was built for this test lies.
fn library() -> PathBuf {
    let here = env::current_exe().unwrap();
    let deps = here.parent().unwrap();
    let name = "libtunstack_packetdrill.so";
    let found = [deps.join(name), deps.parent().unwrap().join(name)];
    found.into_iter().find(|path| path.exists()).expect("the library is built")
}

/// What a process has printed, once it has ended. One that does not end is ended.
fn output(mut child: Child) -> Output {
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    // Its status says what ended it.
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

/// Compiles the program as `name` and runs it.
fn host(name: &str, more: &[&str]) -> (Output, String) {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = env::temp_dir().join(format!("tunstack-{name}-{}", std::process::id()));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(crate_dir.join("tests/host.c"))
        .args(["-lpthread", "-ldl"])
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    let library = library();
    let child = Command::new(&program)
        .arg(&library)
        .arg("--local_ip=192.168.0.1")
        .args(more)
        .env("LD_PRELOAD", &library)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ran = output(child);
    fs::remove_file(&program).unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran, said)
}

#[test]
fn a_program_that_does_as_packetdrill_does() {
    let (ran, said) = host("host", &[]);
    assert!(ran.status.success(), "{said}{}", ran.status);
}

#[test]
fn a_splice_over_which_packetdrill_stands_still_is_told_and_ends() {
    let (ran, said) = host("splice", &["splice"]);
    assert_eq!(ran.status.code(), Some(1), "{said}{}", ran.status);
    assert!(said.contains("packetdrill waits for ever at a splice") && said.lines().count() == 1, "{said}");
}

/// `tc` fails here: there is no such device, or no `tc`. The status of the line is what counts.
#[test]
fn a_line_of_commands_that_ended_well_is_heeded_as_a_shell_has_it() {
    let fq = "tc qdisc replace dev nothere0 root fq";
    let pfifo = "tc qdisc replace dev nothere0 root pfifo";
    for (line, paced) in [
        (format!("true; {fq}; true"), true),
        (format!("true && {fq} || true"), true),
        (format!("{pfifo}\n{fq}\ntrue"), true),
        (fq.to_owned(), false),
        (format!("{fq}; false"), false),
        (format!("{fq}; {pfifo}; true"), false),
        (format!("echo '\n{fq}\n' >&2"), false),
    ] {
        let (ran, said) = host("command", &["command", &line]);
        assert_eq!(ran.status.code(), Some(if paced { 3 } else { 0 }), "{line}: {said}");
    }
}

//! The example in C, compiled by a C compiler and run on a TUN device, with the kernel as its client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

#[path = "../../../tests/common/namespace.rs"]
mod namespace;

fn main() -> ExitCode {
    namespace::main(&[
        ("the_example_echoes_and_ends_in_order", echo),
        ("a_device_that_cannot_be_had_is_one_line", refused),
        ("every_function_means_the_same_in_c", || run("tests/abi.c")),
        ("wrong_arguments_are_met_as_the_kernel_meets_them", arguments),
    ])
}

/// Where the libraries that were built for this test lie.
fn libraries() -> PathBuf {
    let here = env::current_exe().unwrap();
    let deps = here.parent().unwrap().to_owned();
    let found = [deps.clone(), deps.parent().unwrap().to_owned()];
    found.into_iter().find(|dir| dir.join("libtunstack.so").exists()).expect("libtunstack.so is built")
}

/// Compiles a program with all warnings, as errors.
fn compile(source: &str) -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program =
        env::temp_dir().join(format!("tunstack-{}-{}", source.replace('/', "-"), std::process::id()));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(crate_dir.join("include"))
        .arg("-o")
        .arg(&program)
        .arg(crate_dir.join(source))
        .arg("-L")
        .arg(libraries())
        .arg("-ltunstack")
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    program
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.0.kill().and_then(|()| self.0.wait()).expect("the example's end");
        }
    }
}

fn start(program: &Path, device: &str) -> Running {
    let child = Command::new(program)
        .arg(device)
        .env("LD_LIBRARY_PATH", libraries())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fs::remove_file(program).unwrap();
    Running(child)
}

fn echo() {
    let mut running = start(&compile("examples/echo.c"), "tun0");
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "echo: listens on port 7");

    let clients = (0..20u8).map(|n| {
        thread::spawn(move || {
            let address = if n % 2 == 0 { "10.7.0.2:7" } else { "[fd07::2]:7" };
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let sent: Vec<u8> = (0..100_000usize).map(|i| n ^ (i % 251) as u8).collect();
            for piece in sent.chunks(10_000) {
                stream.write_all(piece).unwrap();
                let mut back = vec![0; piece.len()];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, piece);
            }
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "its end is answered by an end");
        })
    });
    clients.collect::<Vec<_>>().into_iter().for_each(|client| client.join().unwrap());

    let id = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "echo: ended");
    assert!(running.0.wait().unwrap().success());
}

fn refused() {
    let mut running = start(&compile("examples/echo.c"), "a name that no device may have");
    assert_eq!(running.0.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("echo: ") && said.contains("a name that"), "{said}");
}

fn arguments() {
    rust::device::netlink::set_up("lo", true).unwrap();
    run("tests/arguments.c");
}

fn run(source: &str) {
    let program = compile(source);
    let ran = Command::new(&program).env("LD_LIBRARY_PATH", libraries()).output().unwrap();
    fs::remove_file(program).unwrap();
    assert!(ran.status.success(), "{}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
}

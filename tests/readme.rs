//! What README says of code and files is true. Its commands are tried by `.ci/run`.

#[path = "common/namespace.rs"]
mod namespace;

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    namespace::main(&[
        ("the_code_is_the_example", the_code_is_the_example),
        ("the_files_are_there", the_files_are_there),
        ("the_example_does_what_it_says", the_example_does_what_it_says),
    ])
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(top().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The contents of the blocks that begin with three backticks and `language`.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("\n```{language}\n");
    text.split(&open).skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

fn the_code_is_the_example() {
    let readme = read("README.md");
    let example = read("examples/hello.rs");
    let code = &example[example.find("use ").unwrap()..];
    assert_eq!(blocks(&readme, "rust"), [code]);
}

/// Every link that stays in the repository.
fn the_files_are_there() {
    let mut links = 0;
    let files = ["README.md", "CHANGELOG.md", "pcap/README.md"];
    for file in files {
        let text = read(file);
        let folder = Path::new(file).parent().unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            links += 1;
            assert!(top().join(folder).join(link).exists(), "{file} leads to {link}, which is not there");
        }
    }
    assert!(links > 5, "only {links} links were found");
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Cargo puts examples beside the folder of this test.
fn example(name: &str) -> PathBuf {
    let folder = env::current_exe().unwrap().parent().unwrap().with_file_name("examples");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: cargo build --examples", path.display());
    path
}

fn the_example_does_what_it_says() {
    let hello = Command::new(example("hello")).stdin(Stdio::null()).spawn().unwrap();
    let _hello = Running(hello);
    for address in ["10.7.0.2:7", "[fd07::2]:7"] {
        let address: SocketAddr = address.parse().unwrap();
        let begun = Instant::now();
        let mut stream = loop {
            // Its device takes a moment to come up.
            match TcpStream::connect_timeout(&address, LONG) {
                Ok(stream) => break stream,
                Err(e) => assert!(begun.elapsed() < LONG, "{address}: {e}"),
            }
            thread::sleep(Duration::from_millis(10));
        };
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut echo = String::new();
        stream.read_to_string(&mut echo).unwrap();
        assert_eq!(echo, "hello", "{address}");
    }
}

//! The library as packetdrill loads it, by a small program in C that does the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where the library that was built for this test lies.
fn library() -> PathBuf {
    let here = env::current_exe().unwrap();
    let deps = here.parent().unwrap();
    let name = "libtunstack_packetdrill.so";
    let found = [deps.join(name), deps.parent().unwrap().join(name)];
    found.into_iter().find(|path| path.exists()).expect("the library is built")
}

#[test]
fn a_program_that_does_as_packetdrill_does() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = env::temp_dir().join(format!("tunstack-host-{}", std::process::id()));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(crate_dir.join("tests/host.c"))
        .args(["-lpthread", "-ldl"])
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    let library = library();
    let ran = Command::new(&program)
        .arg(&library)
        .arg("--local_ip=192.168.0.1")
        .env("LD_PRELOAD", &library)
        .output()
        .unwrap();
    fs::remove_file(&program).unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stderr), ran.status);
}

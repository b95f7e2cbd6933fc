//! `tunstack.h` is generated from the source: this test fails when it is not what the source gives, and writes it with
//! `UPDATE=1`.

use std::path::Path;
use std::{env, fs};

#[test]
fn the_header_is_that_of_the_source() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let mut header = Vec::new();
    let sources = ["host.rs", "sockets.rs", "options.rs", "transfer.rs", "wait.rs"];
    let builder = sources.iter().map(|file| here.join(file)).filter(|file| file.exists());
    builder
        .fold(cbindgen::Builder::new().with_config(config), cbindgen::Builder::with_src)
        .generate()
        .unwrap()
        .write(&mut header);
    // What concerns callers in Rust alone.
    let header = String::from_utf8(header).unwrap().replace("// # Safety\n", "");
    let path = here.join("include/tunstack.h");
    if env::var_os("UPDATE").is_some_and(|update| update == "1") {
        fs::write(&path, &header).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == header,
        "{} is out of date: UPDATE=1 cargo test -p tunstack-c --test header",
        path.display()
    );
}

//! The program `tunstack`.

fn main() {}

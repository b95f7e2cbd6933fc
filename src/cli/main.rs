//! The program `tunstack`.

mod output;

mod link;

mod common;

mod recording;

mod run;

mod http;

mod tree;

mod upload;

mod listing;

mod ranges;

mod serve;

mod demo;

mod echo;

mod stdio;

mod nc;

mod get;

mod ping;

mod up;

mod drill;

mod apart;

mod race;

mod bench;

mod args;

use std::process::ExitCode;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(code) => return code,
    };
    output::start_log(args.common.log);
    let common = &args.common;
    let result = match args.command {
        Command::Demo(args) => demo::main(common, args),
        Command::Serve(args) => serve::main(common, args),
        Command::Echo(args) => echo::main(common, args),
        Command::Nc(args) => nc::main(common, args),
        Command::Get(args) => get::main(common, args),
        Command::Ping(args) => ping::main(common, args),
        Command::Up(args) => up::up(common, args),
        Command::Down => up::down(common),
        Command::Drill(args) => drill::main(common, args),
        Command::Race(args) => race::main(common, args),
        Command::Bench(args) => bench::main(common, args),
    };
    output::exit_code(result)
}

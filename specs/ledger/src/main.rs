//! The program `tunstack-ledger`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tunstack_ledger::{Ledger, Results, Standing, html, markdown};

/// Says for every clause of the RFCs in specs/ where the source obeys it and which test shows it.
///
/// Without options it prints the counts. A citation in the source is a comment of three or more lines:
///
///   //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
///   //= type=test
///   //# words of the clause, exactly as the RFC has them,
///   //# over as many lines as they need
///
/// Without `type=test` it stands above the code that obeys the clause; with it, above the test
/// that shows it. In a script under tests/packetdrill it is always a test. Where the words fit
/// several clauses, `//= id=MUST-60` says which, and then the words may be left out. A clause
/// that no test shows has an entry in specs/rfcNNNN/exceptions.toml: id, kind (not-applicable,
/// not-done, untestable, superseded) and reason.
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// List what is wrong, one line each, and fail if there is anything
    #[arg(long)]
    check: bool,
    /// Print the report as docs/rfc.md has it
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Write the report as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// What `cargo test` printed: the page then says of each test whether it passed; may be given more than once
    #[arg(long, value_name = "FILE", requires = "html")]
    results: Vec<PathBuf>,
    /// List the clauses that are not done, or not cited yet, of these RFCs (all without a number)
    #[arg(long, value_name = "NUMBER", num_args = 0..)]
    open: Option<Vec<u32>>,
    /// Repository to read
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), hide_default_value = true)]
    root: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("tunstack-ledger: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let report = Ledger::read(&arguments.root)?;
    let ledger = &report.ledger;
    let mut out = String::new();
    if arguments.markdown {
        out = markdown(ledger);
    } else if arguments.json {
        out = serde_json::to_string_pretty(ledger).map_err(|e| e.to_string())?;
        out.push('\n');
    } else if let Some(numbers) = &arguments.open {
        out = open(ledger, numbers);
    } else if arguments.html.is_none() && !arguments.check {
        out = counts(ledger);
    }
    if let Some(path) = &arguments.html {
        let mut results = Results::default();
        for printed in &arguments.results {
            let text = fs::read_to_string(printed).map_err(|e| format!("{}: {e}", printed.display()))?;
            results.add(&text);
        }
        if results.is_empty() && !arguments.results.is_empty() {
            return Err("--results: no line that says how a test ended".to_owned());
        }
        fs::write(path, html(ledger, &results)).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    match io::stdout().write_all(out.as_bytes()) {
        // Whoever reads may have had enough, as `head` has.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        written => written.map_err(|e| e.to_string())?,
    }
    for fault in &report.faults {
        eprintln!("{fault}");
    }
    let failed = arguments.check && !report.faults.is_empty();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn counts(ledger: &Ledger) -> String {
    let mut out = format!("{:>8} {:>7}", "RFC", "clauses");
    for standing in Standing::ALL {
        out.push_str(&format!("  {}", standing.name()));
    }
    let rows = ledger.rfcs.iter().map(|part| (part.number.to_string(), part.counts()));
    for (name, counts) in rows.chain([("together".to_owned(), ledger.counts())]) {
        out.push_str(&format!("\n{name:>8} {:>7}", counts.total()));
        for standing in Standing::ALL {
            out.push_str(&format!("  {:>1$}", counts.of(standing), standing.name().len()));
        }
    }
    out.push('\n');
    out
}

fn open(ledger: &Ledger, numbers: &[u32]) -> String {
    let mut out = String::new();
    for part in ledger.rfcs.iter().filter(|part| numbers.is_empty() || numbers.contains(&part.number)) {
        for clause in &part.clauses {
            if matches!(clause.standing, Standing::NotDone | Standing::NotCited | Standing::Unaccounted) {
                let r = &clause.requirement;
                let reason = clause.exception.as_ref().map_or("", |e| e.reason.as_str());
                out.push_str(&format!(
                    "RFC {} section {} {} {} ({reason})\n    {}\n",
                    part.number, r.section, r.id, r.level, r.quote
                ));
            }
        }
    }
    out
}

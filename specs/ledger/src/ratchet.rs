//! The counts that may only rise: `specs/ratchet.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::check::{Ledger, Standing};

/// For each RFC, as `rfc9293`, how many clauses a test shows.
pub type Ratchet = BTreeMap<String, usize>;

fn now(ledger: &Ledger) -> Ratchet {
    let shown = |part: &crate::Part| (format!("rfc{}", part.number), part.counts().of(Standing::Shown));
    ledger.rfcs.iter().map(shown).collect()
}

fn parse(text: &str) -> Result<Ratchet, String> {
    toml::from_str(text).map_err(|e| format!("specs/ratchet.toml: {e}"))
}

/// What has become fewer than `text`, the ratchet's file, says; one line for each RFC.
///
/// # Errors
///
/// The text is not a list of counts.
pub fn lower(ledger: &Ledger, text: &str) -> Result<Vec<String>, String> {
    let now = now(ledger);
    let fewer = |(rfc, &was): (&String, &usize)| {
        let is = now.get(rfc).copied().unwrap_or(0);
        (is < was).then(|| format!("{rfc}: {is} clauses are shown by a test, {was} were; that may only rise"))
    };
    Ok(parse(text)?.iter().filter_map(fewer).collect())
}

/// The ratchet's file as it should be now: no count is less than `text` says.
///
/// # Errors
///
/// The text is not a list of counts.
pub fn raised(ledger: &Ledger, text: &str) -> Result<String, String> {
    let mut counts = parse(text)?;
    for (rfc, is) in now(ledger) {
        let was = counts.entry(rfc).or_default();
        *was = is.max(*was);
    }
    let mut out = String::from(
        "# How many clauses of each RFC a test shows. A count may rise, never fall: tests/rfc.rs.\n",
    );
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(rfc, _)| rfc.trim_start_matches("rfc").parse::<u32>().unwrap_or(u32::MAX));
    for (rfc, count) in counts {
        let _ = writeln!(out, "{rfc} = {count}");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Part;

    #[test]
    fn a_count_never_falls() {
        let ledger = Ledger { rfcs: vec![Part { number: 768, title: String::new(), clauses: Vec::new() }] };
        assert_eq!(lower(&ledger, "rfc768 = 0\n").unwrap(), [""; 0]);
        let fewer = lower(&ledger, "rfc768 = 2\nrfc1 = 1\n").unwrap();
        assert!(fewer.len() == 2 && fewer[1].starts_with("rfc768: 0 clauses are shown by a test, 2 were"));
        assert!(raised(&ledger, "rfc768 = 2\n").unwrap().ends_with("\nrfc768 = 2\n"));
        assert!(raised(&ledger, "").unwrap().ends_with("\nrfc768 = 0\n"));
        assert!(lower(&ledger, "rfc768 = many").unwrap_err().starts_with("specs/ratchet.toml: "));
    }
}

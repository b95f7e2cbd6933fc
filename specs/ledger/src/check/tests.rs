use super::*;
use crate::spec::Level;

fn requirement(id: &str, section: &str, quote: &str) -> Requirement {
    Requirement {
        id: id.into(),
        section: section.into(),
        level: Level::Must,
        feature: None,
        status: None,
        context: None,
        quote: quote.into(),
    }
}

fn rfc() -> Rfc {
    let both = "it (1) MUST NOT buffer data (MUST-60), and (2) MUST set the PSH bit (MUST-61).";
    let mut old = requirement("OLD", "9", "An old sentence of no use.");
    old.status = Some("superseded by 9293".into());
    Rfc {
        number: 9293,
        title: "TCP".into(),
        requirements: vec![
            requirement("MUST-1", "3.1, 3.2", "The window MUST be treated as an unsigned number."),
            requirement("MUST-60", "3.9", both),
            requirement("MUST-61", "3.9", both),
            old,
        ],
        exceptions: BTreeMap::new(),
    }
}

fn cite(section: &str, ids: &[&str], quotation: &str, role: Role) -> Citation {
    Citation {
        rfc: 9293,
        section: Some(section.into()),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        quotation: quotation.into(),
        role,
        file: "src/a.rs".into(),
        line: 7,
        item: "f".into(),
    }
}

fn found(section: &str, ids: &[&str], quotation: &str) -> Result<Vec<String>, String> {
    resolve(&cite(section, ids, quotation, Role::Code), &[rfc()])
}

#[test]
fn a_part_or_a_passage_around_is_found() {
    assert_eq!(found("3.2", &[], "treated as an unsigned").unwrap(), ["MUST-1"]);
    let around = "Well. The window MUST be treated as an unsigned number. So.";
    assert_eq!(found("3.1", &[], around).unwrap(), ["MUST-1"]);
}

#[test]
fn words_that_two_clauses_share_need_an_id() {
    let why = found("3.9", &[], "MUST NOT buffer data").unwrap_err();
    assert!(why.contains("MUST-60 and MUST-61"), "{why}");
    assert_eq!(found("3.9", &[], "MUST NOT buffer data (MUST-60)").unwrap(), ["MUST-60"]);
    assert_eq!(found("3.9", &["MUST-61"], "MUST set the PSH bit").unwrap(), ["MUST-61"]);
    assert_eq!(found("3.9", &["MUST-60", "MUST-61"], "").unwrap(), ["MUST-60", "MUST-61"]);
}

#[test]
fn what_fits_nothing_names_the_nearest() {
    let why = found("3.9", &[], "The window MUST be treated as a signed number").unwrap_err();
    assert!(why.contains("nearest is MUST-1 (section 3.1, 3.2)"), "{why}");
    assert!(found("3.9", &["MUST-1"], "").unwrap_err().contains("stands in section 3.1"));
    assert!(found("3.9", &["MUST-99"], "").unwrap_err().contains("no clause MUST-99"));
    assert!(found("3.1", &["MUST-1"], "MUST be treated as signed").unwrap_err().contains("other words"));
    assert!(found("3.1", &[], "The").unwrap_err().contains("too short"));
    let other = Citation { rfc: 1, ..cite("1", &[], "words and words", Role::Code) };
    assert!(resolve(&other, &[rfc()]).unwrap_err().contains("no RFC 1"));
}

fn standing(citations: Vec<Citation>, exception: Option<(&str, Kind, &str)>) -> (Vec<Standing>, Vec<String>) {
    let mut rfc = rfc();
    rfc.requirements.retain(|r| r.id == "MUST-1" || r.id == "OLD");
    if let Some((id, kind, reason)) = exception {
        rfc.exceptions.insert(id.into(), Exception { id: id.into(), kind, reason: reason.into() });
    }
    let report = Ledger::join(vec![rfc], citations, Vec::new());
    (report.ledger.rfcs[0].clauses.iter().map(|c| c.standing).collect(), report.faults)
}

#[test]
fn a_clause_needs_code_and_test_or_a_reason() {
    let code = || cite("3.1", &["MUST-1"], "", Role::Code);
    let test = || cite("3.1", &["MUST-1"], "", Role::Test);
    let (standings, faults) = standing(vec![code(), test()], None);
    assert_eq!(standings, [Standing::Shown, Standing::Superseded]);
    assert!(faults.is_empty(), "{faults:?}");
    for (citations, word) in
        [(vec![], "no citation"), (vec![code()], "no test shows it"), (vec![test()], "no code is cited")]
    {
        let (standings, faults) = standing(citations, None);
        assert_eq!(standings[0], Standing::Unaccounted);
        assert!(faults.len() == 1 && faults[0].contains(word), "{faults:?}");
    }
    let (standings, faults) = standing(vec![code()], Some(("MUST-1", Kind::NotDone, "no test yet")));
    assert!(standings[0] == Standing::NotDone && faults.is_empty(), "{faults:?}");
    let (standings, faults) = standing(vec![], Some(("MUST-1", Kind::NotDone, NOT_CITED)));
    assert!(standings[0] == Standing::NotCited && faults.is_empty(), "{faults:?}");
}

#[test]
fn an_exception_that_is_no_longer_true_is_a_fault() {
    let code = || cite("3.1", &["MUST-1"], "", Role::Code);
    let test = || cite("3.1", &["MUST-1"], "", Role::Test);
    for kind in [Kind::NotDone, Kind::NotApplicable, Kind::Untestable] {
        let (_, faults) = standing(vec![code(), test()], Some(("MUST-1", kind, "a reason")));
        assert!(faults.len() == 1 && faults[0].contains("one of the two has to go"), "{faults:?}");
    }
    let (_, faults) = standing(vec![code()], Some(("MUST-1", Kind::NotDone, NOT_CITED)));
    assert!(faults.len() == 1 && faults[0].contains("say what is missing"), "{faults:?}");
}

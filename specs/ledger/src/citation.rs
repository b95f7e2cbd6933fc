//! Citations: the comments in source and scripts that name a clause.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::place::{self, Place};

const SERVER: &str = "https://www.rfc-editor.org/rfc/rfc";

/// What the place of a citation is to the clause.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The code that obeys it.
    Code,
    /// A test that shows it.
    Test,
}

/// One comment that cites a clause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Citation {
    /// The number of the RFC.
    pub rfc: u32,
    /// The section, if the address names one.
    pub section: Option<String>,
    /// Ids of clauses, if it names some.
    pub ids: Vec<String>,
    /// The quotation with its white space folded; may be empty if there are ids.
    pub quotation: String,
    /// What stands here.
    pub role: Role,
    /// From the top of the repository.
    pub file: String,
    /// Where the comment begins, from 1.
    pub line: usize,
    /// The function, type or constant that the comment stands above or in; empty for a script.
    pub item: String,
}

/// White space of any length becomes one blank.
pub(crate) fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Open {
    citation: Citation,
    said: Option<Role>,
    quotation: Vec<String>,
    last: usize,
}

/// The citations of one file. Faults begin with file and line.
pub(crate) fn parse(file: &str, text: &str, faults: &mut Vec<String>) -> Vec<Citation> {
    let lines: Vec<&str> = text.lines().collect();
    let mut open: Vec<Open> = Vec::new();
    let mut current: Option<Open> = None;
    for (index, line) in lines.iter().enumerate() {
        let number = index + 1;
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("//#") {
            match &mut current {
                Some(citation) => {
                    citation.quotation.push(rest.to_owned());
                    citation.last = index;
                }
                None => faults.push(format!("{file}:{number}: a quotation without //= and an address above")),
            }
        } else if let Some(rest) = line.strip_prefix("//=") {
            let rest = rest.trim();
            if let Some(address) = rest.strip_prefix(SERVER) {
                open.extend(current.take());
                match target(address) {
                    Some((rfc, section)) => {
                        let citation = Citation {
                            rfc,
                            section,
                            ids: Vec::new(),
                            quotation: String::new(),
                            role: Role::Code,
                            file: file.to_owned(),
                            line: number,
                            item: String::new(),
                        };
                        current = Some(Open { citation, said: None, quotation: Vec::new(), last: index });
                    }
                    None => faults.push(format!("{file}:{number}: not {SERVER}NNNN#section-N.N")),
                }
            } else if let Some(citation) = &mut current {
                citation.last = index;
                attribute(rest, citation, &format!("{file}:{number}"), faults);
            } else {
                faults.push(format!("{file}:{number}: //= wants {SERVER}NNNN#section-N.N first"));
            }
        } else {
            open.extend(current.take());
        }
    }
    open.extend(current);
    open.into_iter().filter_map(|citation| finish(citation, &lines, faults)).collect()
}

/// `9293#section-3.4` and its like.
fn target(address: &str) -> Option<(u32, Option<String>)> {
    let (number, fragment) = match address.split_once('#') {
        Some((number, fragment)) => (number, Some(fragment)),
        None => (address, None),
    };
    let rfc = number.strip_suffix(".txt").or(number.strip_suffix(".html")).unwrap_or(number).parse().ok()?;
    let section = match fragment {
        Some(fragment) => {
            Some(fragment.strip_prefix("section-").or(fragment.strip_prefix("appendix-"))?.to_owned())
        }
        None => None,
    };
    Some((rfc, section))
}

fn attribute(text: &str, open: &mut Open, place: &str, faults: &mut Vec<String>) {
    match text.split_once('=') {
        Some(("type", "test")) => open.said = Some(Role::Test),
        Some(("type", "implementation")) => open.said = Some(Role::Code),
        Some(("id", ids)) => open.citation.ids.extend(ids.split(',').map(|id| id.trim().to_owned())),
        _ => faults
            .push(format!("{place}: `{text}` is none of type=test, id=ID, or an address at rfc-editor.org")),
    }
}

fn finish(open: Open, lines: &[&str], faults: &mut Vec<String>) -> Option<Citation> {
    let mut citation = open.citation;
    citation.quotation = folded(&open.quotation.join(" "));
    let place = format!("{}:{}", citation.file, citation.line);
    if citation.quotation.is_empty() && citation.ids.is_empty() {
        faults.push(format!("{place}: neither a quotation (//#) nor //= id=ID"));
        return None;
    }
    if citation.file.ends_with(".pkt") {
        citation.role = Role::Test;
        return Some(citation);
    }
    let Place { item, is_function, is_test } = place::of(lines, open.last);
    citation.role = open.said.unwrap_or(Role::Code);
    let test_file = is_test_file(&citation.file);
    match citation.role {
        Role::Test if !is_function => {
            faults.push(format!("{place}: no test function follows the citation with type=test"));
            return None;
        }
        Role::Test if !is_test && !citation.file.starts_with("tests/") => {
            faults.push(format!("{place}: type=test, but {item} is not a #[test]"));
            return None;
        }
        Role::Code if test_file || is_test => {
            faults.push(format!("{place}: in a test it has to say //= type=test"));
            return None;
        }
        _ => {}
    }
    citation.item = item;
    Some(citation)
}

fn is_test_file(file: &str) -> bool {
    file.starts_with("tests/") || file.contains("/tests/") || file.ends_with("/tests.rs")
}

/// A test function under `tests/` is either a `#[test]` or is named where the trials of its program are
/// listed. One that nothing runs shows nothing.
fn runs(citation: &Citation, sources: &[(String, String)]) -> bool {
    let Some((_, own)) = sources.iter().find(|(file, _)| *file == citation.file) else { return false };
    let lines: Vec<&str> = own.lines().collect();
    if place::of(&lines, citation.line).is_test || !citation.file.starts_with("tests/") {
        return true;
    }
    let name = citation.item.rsplit("::").next().unwrap_or_default();
    let mut parts = citation.file.splitn(3, '/');
    let folder = match (parts.next(), parts.next(), parts.next()) {
        (Some(tests), Some(program), Some(_)) => format!("{tests}/{program}/"),
        _ => citation.file.clone(),
    };
    let mut uses = 0;
    for (_, text) in sources.iter().filter(|(file, _)| file.starts_with(&folder)) {
        uses += place::words(text).filter(|word| *word == name).count();
    }
    uses > 1
}

/// Every citation under `src` and `tests`, by file and line.
pub(crate) fn read_all(root: &Path, faults: &mut Vec<String>) -> Result<Vec<Citation>, String> {
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        visit(root, folder, &mut sources)?;
    }
    sources.sort();
    let mut citations = Vec::new();
    for (file, text) in &sources {
        citations.extend(parse(file, text, faults));
    }
    citations.retain(|citation: &Citation| {
        let shown =
            citation.role == Role::Code || citation.file.ends_with(".pkt") || runs(citation, &sources);
        if !shown {
            let Citation { file, line, item, .. } = citation;
            faults.push(format!("{file}:{line}: {item} is neither a #[test] nor in a list of trials"));
        }
        shown
    });
    Ok(citations)
}

fn visit(root: &Path, folder: &str, sources: &mut Vec<(String, String)>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{folder}: {e}");
    for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(failed)?.is_dir() {
            visit(root, &name, sources)?;
        } else if name.ends_with(".rs") || (name.ends_with(".pkt") && name.starts_with("tests/packetdrill/"))
        {
            let text = fs::read_to_string(entry.path()).map_err(|e| format!("{name}: {e}"))?;
            sources.push((name, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(file: &str, text: &str) -> Vec<Citation> {
        let mut faults = Vec::new();
        let found = parse(file, text, &mut faults);
        assert_eq!(faults, [""; 0]);
        found
    }

    fn fault(file: &str, text: &str) -> String {
        let mut faults = Vec::new();
        parse(file, text, &mut faults);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.remove(0)
    }

    #[test]
    fn several_lines_are_one_quotation_and_several_citations_stand_together() {
        let text = "impl Tcb {\n    fn reset(&self) {\n        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.5\n        \
                    //# If  the\n        //#   RST bit\n        //= https://www.rfc-editor.org/rfc/rfc768\n        \
                    //= id=a, b\n        drop();\n    }\n}\n";
        let found = good("src/a.rs", text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].quotation, "If the RST bit");
        assert_eq!((found[0].rfc, found[0].section.as_deref(), found[0].line), (9293, Some("3.5"), 3));
        assert_eq!(found[0].item, "Tcb::reset");
        assert_eq!(found[1].ids, ["a", "b"]);
        assert_eq!((found[1].rfc, found[1].section.as_deref()), (768, None));
    }

    #[test]
    fn a_test_is_the_function_below() {
        let head = "//= https://www.rfc-editor.org/rfc/rfc9293#section-3.5\n//= type=test\n//# some words\n";
        let found = good("src/a/tests.rs", &format!("{head}#[test]\nfn shows() {{}}\n"));
        assert_eq!((found[0].role, found[0].item.as_str()), (Role::Test, "shows"));
        assert!(fault("src/a.rs", &format!("{head}fn shows() {{}}\n")).contains("shows is not a #[test]"));
        assert!(fault("src/a.rs", &format!("{head}struct S;\n")).contains("no test function"));
        assert_eq!(good("tests/packetdrill/reset/a.pkt", head)[0].role, Role::Test);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let head = "//= https://www.rfc-editor.org/rfc/rfc9293#section-3.5\n";
        assert!(fault("src/a.rs", "\n//# words\n").starts_with("src/a.rs:2: a quotation without"));
        assert!(
            fault("src/a.rs", &format!("{head}fn f() {{}}\n")).starts_with("src/a.rs:1: neither a quotation")
        );
        assert!(
            fault("src/a.rs", &format!("{head}//= type=todo\n//# words\n"))
                .starts_with("src/a.rs:2: `type=todo`")
        );
        assert!(
            fault("src/a.rs", "//= https://www.rfc-editor.org/rfc/rfcX\n")
                .starts_with("src/a.rs:1: not https")
        );
        assert!(fault("src/a.rs", "//= http://example.org/\n").starts_with("src/a.rs:1: //= wants"));
        let bare = fault("tests/a.rs", &format!("{head}//# some words\n#[test]\nfn shows() {{}}\n"));
        assert!(bare.contains("type=test"), "{bare}");
    }
}

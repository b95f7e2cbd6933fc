//! Rust source as far as the rules need it: words and signs, without comments, literals and test code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// File name, from the top of the repository, to its text.
pub(crate) type Files = BTreeMap<String, String>;

/// All `.rs` files under the folders `roots` of this repository.
pub(crate) fn read(roots: &[&str]) -> Files {
    let mut files = Files::new();
    for root in roots {
        visit(root, &mut files);
    }
    assert!(!files.is_empty(), "no source under {roots:?}");
    files
}

fn visit(folder: &str, files: &mut Files) {
    let absolute = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = fs::read_dir(&absolute) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            visit(&name, files);
        } else if name.ends_with(".rs") {
            files.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// A word, `::` or a single sign, and the line it stands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// Splits source. Comments, literals and lifetimes leave nothing.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let len = skipped(rest).unwrap_or_else(|| {
            let len = match c {
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            if !c.is_whitespace() {
                tokens.push(Token { text: &rest[..len], line });
            }
            len
        });
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment, literal or lifetime that the text begins with.
fn skipped(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r').filter(|_| prefix <= 1) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = &raw[hashes + 1..];
            let found = body.find(&end).map_or(body.len(), |at| at + end.len());
            return Some(prefix + 1 + hashes + 1 + found);
        }
    }
    if prefix > 1 {
        return None;
    }
    match unprefixed.chars().next() {
        Some('"') => Some(prefix + quoted(unprefixed, '"')),
        Some('\'') if is_character(unprefixed) => Some(prefix + quoted(unprefixed, '\'')),
        Some('\'') if prefix == 0 => {
            Some(1 + unprefixed[1..].find(|c| !is_word(c)).unwrap_or(unprefixed.len() - 1))
        }
        _ => None,
    }
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < text.len() {
        let rest = &text[at..];
        at += if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
    }
    at
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(_), Some(second)) => second == '\'',
        _ => false,
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What is compiled into the library: without the items under `#[cfg(test)]` and `#[cfg(all(test, …))]`.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    const CFG_TEST_AND: [&str; 8] = ["#", "[", "cfg", "(", "all", "(", "test", ","];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if matches(&tokens[at..], &CFG_TEST) || matches(&tokens[at..], &CFG_TEST_AND) {
            at += tokens[at..].iter().take_while(|token| token.text != "]").count() + 1;
            at += item(&tokens[at..]).len();
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// The item that the tokens begin with: up to its `;`, or the brace that closes its body.
pub(crate) fn item<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(token.text, ";" | "}") {
            return &tokens[..=at];
        }
    }
    tokens
}

/// Whether the tokens begin with `pattern`.
pub(crate) fn matches(tokens: &[Token<'_>], pattern: &[&str]) -> bool {
    tokens.len() >= pattern.len() && tokens.iter().zip(pattern).all(|(token, text)| token.text == *text)
}

/// The lines on which `pattern` stands.
pub(crate) fn lines_with(tokens: &[Token<'_>], pattern: &[&str]) -> Vec<usize> {
    (0..tokens.len()).filter(|at| matches(&tokens[*at..], pattern)).map(|at| tokens[at].line).collect()
}

#[test]
fn source_is_split_as_the_compiler_would() {
    let text = r###"
        // no::comment
        /* no /* nested */ no */
        fn f<'a>(x: &'a str) -> char { a::b(b"no\"no", r#"no"no"#, '\'', 'x', br"no", "", rest, b) }
        #[cfg(test)]
        mod tests { fn g() { no() } }
        #[cfg(test)]
        #[path = "no.rs"]
        mod no;
        use c::{d, e};
    "###;
    let all = tokens(text);
    let kept: Vec<&str> = without_tests(&all).iter().map(|t| t.text).collect();
    let signs: Vec<&str> = kept.iter().copied().filter(|t| t.chars().all(is_word)).collect();
    assert_eq!(signs, ["fn", "f", "x", "str", "char", "a", "b", "rest", "b", "use", "c", "d", "e"]);
    assert_eq!(kept.iter().filter(|t| **t == "::").count(), 2);
    assert_eq!(lines_with(&all, &["fn", "g"]), [6]);
}

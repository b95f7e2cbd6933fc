//! Where in a file a citation stands, without line numbers, so that an edit elsewhere changes nothing.
//!
//! The source is formatted by rustfmt, so indentation tells what encloses a line.

/// What a line belongs to.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    /// `Type::function`, `function`, a constant's or a type's name; empty at the top of a file.
    pub(crate) item: String,
    /// Whether it is a function.
    pub(crate) is_function: bool,
    /// Whether it is one with `#[test]`.
    pub(crate) is_test: bool,
}

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// The keyword and the name, if the line is the first of an item.
fn item(line: &str) -> Option<(&'static str, String)> {
    let mut rest = line.trim_start();
    loop {
        let before = rest;
        for prefix in ["pub ", "pub(crate) ", "pub(super) ", "default ", "async ", "unsafe ", "extern \"C\" "]
        {
            rest = rest.strip_prefix(prefix).unwrap_or(rest);
        }
        if let Some(function) = rest.strip_prefix("const ").filter(|rest| rest.starts_with("fn ")) {
            rest = function;
        }
        if rest == before {
            break;
        }
    }
    for keyword in
        ["fn", "struct", "enum", "union", "trait", "const", "static", "type", "mod", "macro_rules!"]
    {
        if let Some(name) = rest.strip_prefix(keyword).and_then(|rest| rest.strip_prefix(' ')) {
            return words(name).find(|word| *word != "mut").map(|name| (keyword, name.to_owned()));
        }
    }
    rest.strip_prefix("impl")
        .filter(|rest| rest.starts_with([' ', '<']))
        .map(|rest| ("impl", implemented(rest)))
}

/// The type that an `impl` is for.
fn implemented(header: &str) -> String {
    let mut depth = 0_usize;
    let mut plain = String::new();
    for c in header.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            '{' => break,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let plain = plain.split(" where ").next().unwrap_or_default();
    let name = plain.rsplit(" for ").next().unwrap_or_default();
    words(name).last().unwrap_or_default().to_owned()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether only comments and attributes can stand between this line and the item it is about.
fn is_above_item(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with("//") || line.starts_with("#[") || line.starts_with("#![")
}

/// Whether the item whose first line is `index` has `#[test]` above it.
fn has_test(lines: &[&str], index: usize) -> bool {
    lines[..index]
        .iter()
        .rev()
        .take_while(|line| !line.trim().is_empty() && is_above_item(line))
        .any(|line| line.trim_start().starts_with("#[test]"))
}

/// The item that the comment whose last line is `last` (from 0) stands above, else the one it stands in.
pub(crate) fn of(lines: &[&str], last: usize) -> Place {
    let below = (last + 1..lines.len()).find(|&index| !is_above_item(lines[index]));
    let found = below
        .filter(|&index| item(lines[index]).is_some_and(|(keyword, _)| keyword != "mod" && keyword != "impl"))
        .filter(|&index| indentation(lines[index]) == indentation(lines[last]))
        .or_else(|| enclosing(lines, last));
    let Some(index) = found else { return Place::default() };
    let Some((keyword, name)) = item(lines[index]) else { return Place::default() };
    let mut path = name;
    if keyword != "impl" {
        let mut at = index;
        while let Some(outer) = enclosing(lines, at) {
            if let Some(("impl" | "trait" | "fn", name)) = item(lines[outer]) {
                path = format!("{name}::{path}");
            }
            at = outer;
        }
    }
    Place { item: path, is_function: keyword == "fn", is_test: keyword == "fn" && has_test(lines, index) }
}

/// The first line of the innermost item around the line `index`.
fn enclosing(lines: &[&str], index: usize) -> Option<usize> {
    let mut limit = indentation(lines[index]);
    for at in (0..index).rev() {
        let line = lines[at];
        if line.trim().is_empty() || line.trim_start().starts_with("//") {
            continue;
        }
        // A closing bracket or a `where` belongs to the item whose first line is still to come.
        if indentation(line) < limit {
            if item(line).is_some() {
                return Some(at);
            }
            let first = line.trim_start();
            let goes_on = first.starts_with([')', '}', ']', '{']) || first.starts_with("where");
            limit = if goes_on { indentation(line) + 1 } else { indentation(line) };
            if limit == 0 {
                return None;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, mark: &str) -> Place {
        let lines: Vec<&str> = text.lines().collect();
        of(&lines, lines.iter().position(|line| line.contains(mark)).unwrap())
    }

    const SOURCE: &str = "\
//! Top.
//@ const
pub(crate) const LIMIT: u32 = 1;

impl<T: Into<u32>> fmt::Display for Tcb<T> {
    fn long(
        &self,
    ) -> u32
    where
        T: Copy,
    {
        let x = f(
            //@ inner
            1,
        );
        if x {
            //@ deep
            y
        } else {
            //@ other
            z
        }
    }

    //@ method
    /// Says.
    #[must_use]
    pub const fn next(&self) -> u32 {}
}

#[cfg(test)]
mod tests {
    //@ test
    #[test]
    fn shows() {
        //@ within
        work();
    }

    fn helper() {
        //@ helper
    }
}
";

    #[test]
    fn the_item_is_found() {
        assert_eq!(at(SOURCE, "@ const").item, "LIMIT");
        for mark in ["@ inner", "@ deep", "@ other"] {
            assert_eq!(at(SOURCE, mark).item, "Tcb::long", "{mark}");
        }
        let method = at(SOURCE, "@ method");
        assert_eq!((method.item.as_str(), method.is_function, method.is_test), ("Tcb::next", true, false));
        for mark in ["@ test", "@ within"] {
            let test = at(SOURCE, mark);
            assert_eq!((test.item.as_str(), test.is_test), ("shows", true), "{mark}");
        }
        assert!(!at(SOURCE, "@ helper").is_test);
        assert_eq!(at("let x;\n//@\nlet y;\n", "@"), Place::default());
    }
}

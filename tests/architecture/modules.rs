//! The modules of a crate as a tree, and what each of them uses.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Files, Token, item, matches, tokens, without_tests};

/// A module's place in its crate: `["tcp", "input"]`; the crate's root is empty.
pub(crate) type Path = Vec<String>;

/// One module.
#[derive(Debug, Default)]
pub(crate) struct Module<'a> {
    pub(crate) file: String,
    code: Vec<Token<'a>>,
    /// In the order of their `mod` lines.
    children: Vec<String>,
    /// What `use` lines call by a name, wherever they stand in the file.
    names: BTreeMap<String, Vec<String>>,
}

/// A crate, by its modules.
#[derive(Debug, Default)]
pub(crate) struct Crate<'a> {
    pub(crate) modules: BTreeMap<Path, Module<'a>>,
    /// What is wrong with the tree itself.
    pub(crate) faults: Vec<String>,
}

/// One module uses another.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Use {
    pub(crate) from: Path,
    pub(crate) to: Path,
    pub(crate) place: String,
}

impl<'a> Crate<'a> {
    /// Reads the crate whose root is the file `root`. Modules under `#[cfg(test)]` do not belong to it.
    pub(crate) fn read(files: &'a Files, root: &str) -> Self {
        let mut this = Self::default();
        this.add(files, root, Path::new());
        this
    }

    fn add(&mut self, files: &'a Files, file: &str, path: Path) {
        let Some(text) = files.get(file) else {
            self.faults.push(format!("{file}: no such file"));
            return;
        };
        let mut module =
            Module { file: file.to_owned(), code: without_tests(&tokens(text)), ..Module::default() };
        let mut at = 0;
        while at < module.code.len() {
            let code = &module.code[at..];
            if matches(code, &["use"]) {
                let mut found = Vec::new();
                let mut reader = code[1..].iter().map(|t| t.text).peekable();
                use_tree(&mut reader, &mut Vec::new(), &mut found);
                module.names.extend(found);
            } else if let ["mod", name, ";"] = texts(code)[..] {
                module.children.push(name.to_owned());
            } else if let ["mod", name, "{"] = texts(code)[..] {
                // Read as part of the file, in which `super` means something else.
                if item(code).windows(2).any(|t| t[0].text == "super" && t[1].text == "::") {
                    let line = code[0].line;
                    self.faults.push(format!("{file}:{line}: module {name} needs a file of its own"));
                }
            }
            at += 1;
        }
        let children = module.children.clone();
        self.modules.insert(path.clone(), module);
        let folder = match file.rsplit_once('/') {
            Some((folder, "lib.rs" | "main.rs" | "mod.rs")) => folder.to_owned(),
            _ => file.trim_end_matches(".rs").to_owned(),
        };
        for child in children {
            let beside = format!("{folder}/{child}.rs");
            let below = format!("{folder}/{child}/mod.rs");
            let file = if files.contains_key(&beside) { beside } else { below };
            let mut path = path.clone();
            path.push(child);
            self.add(files, &file, path);
        }
    }

    /// Which module a path means, read in module `from`: that of the item at its end, or itself. `None`:
    /// another crate's.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<Path> {
        let (first, mut rest) = path.split_first()?;
        let mut here = match first.as_str() {
            "crate" => Path::new(),
            "self" => from.to_vec(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            name => {
                let module = self.modules.get(from)?;
                if !module.children.iter().any(|c| c == name) {
                    return None;
                }
                rest = path;
                from.to_vec()
            }
        };
        while let Some((name, after)) = rest.split_first() {
            let module = self.modules.get(&here)?;
            if name == "super" {
                here.pop()?;
            } else if module.children.contains(name) {
                here.push(name.clone());
            } else if let Some(target) = module.names.get(name).filter(|_| depth < 8) {
                let longer: Vec<String> = target.iter().chain(after).cloned().collect();
                // A `use self::name` of the module's own leads back here.
                return if longer == path { Some(here) } else { self.resolve(&here, &longer, depth + 1) };
            } else {
                return Some(here);
            }
            rest = after;
        }
        Some(here)
    }

    /// What uses what, by `use` lines and by paths in the code, parts of one module among themselves left out.
    pub(crate) fn uses(&self) -> BTreeSet<Use> {
        let mut uses = BTreeSet::new();
        for (from, module) in &self.modules {
            for at in 0..module.code.len() {
                let begins = at == 0 || module.code[at - 1].text != "::";
                let name = module.code[at].text;
                let mut found = Vec::new();
                if name == "use" {
                    let mut reader = module.code[at + 1..].iter().map(|t| t.text).peekable();
                    use_tree(&mut reader, &mut Vec::new(), &mut found);
                } else if begins && matches!(name, "crate" | "super" | "self") {
                    let path = plain_path(&module.code[at..]);
                    found.extend((path.len() > 1).then_some((String::new(), path)));
                }
                for (_, path) in found {
                    if let Some(to) = self.resolve(from, &path, 0).filter(|to| to != from) {
                        let place = format!("{}:{}", module.file, module.code[at].line);
                        uses.insert(Use { from: from.clone(), to, place });
                    }
                }
            }
        }
        uses
    }

    /// Uses of a module that stands further down among its siblings. A module may use its own children and
    /// what stands in the file that lists it: that is how one type's methods are spread over several files.
    pub(crate) fn upward(&self) -> Vec<String> {
        self.uses()
            .iter()
            .filter_map(|Use { from, to, place }| {
                let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
                let (above, below) = (from.get(common)?, to.get(common)?);
                let order = &self.modules.get(&from[..common])?.children;
                let position = |name| order.iter().position(|c| c == name);
                (position(above) < position(below))
                    .then(|| format!("{place}: {} uses {}", from.join("::"), to.join("::")))
            })
            .collect()
    }
}

fn texts<'a>(code: &[Token<'a>]) -> Vec<&'a str> {
    code.iter().take(3).map(|t| t.text).collect()
}

/// The words of `a::b::c`.
fn plain_path(code: &[Token<'_>]) -> Vec<String> {
    let mut path = vec![code[0].text.to_owned()];
    let mut rest = &code[1..];
    while let [colons, name, after @ ..] = rest
        && colons.text == "::"
        && name.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    {
        path.push(name.text.to_owned());
        rest = after;
    }
    path
}

/// Reads `a::{b, c::D as E, f::*}` into names and their paths. A `*` has the name `*`.
fn use_tree<'a>(
    reader: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    prefix: &mut Vec<String>,
    found: &mut Vec<(String, Vec<String>)>,
) {
    let depth = prefix.len();
    loop {
        match reader.next() {
            Some("::") => {}
            Some("{") => {
                while reader.peek().is_some_and(|t| *t != "}") {
                    use_tree(reader, prefix, found);
                    if reader.peek() == Some(&",") {
                        reader.next();
                    }
                }
                reader.next();
                break;
            }
            Some(word) => {
                // `a::{self}` is `a`.
                if word != "*" && (word != "self" || prefix.is_empty()) {
                    prefix.push(word.to_owned());
                }
                let mut name = if word == "*" { word.to_owned() } else { prefix[prefix.len() - 1].clone() };
                if reader.peek() == Some(&"as") {
                    reader.next();
                    name = reader.next().unwrap_or_default().to_owned();
                }
                if reader.peek() != Some(&"::") {
                    found.push((name, prefix.clone()));
                    break;
                }
            }
            None => break,
        }
    }
    prefix.truncate(depth);
}

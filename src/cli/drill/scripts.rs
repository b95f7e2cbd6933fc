//! Which scripts are run: what the paths name, by topic.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::output::Failure;

/// Folders in folders that are looked into.
const DEEPEST: usize = 16;

/// A script to be run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Script {
    /// Its file.
    pub(crate) path: PathBuf,
    /// What it is called in the report: its path below the one that was named, or with that where there are several.
    pub(crate) name: String,
    /// The folder that it is in, below the one that was named.
    pub(crate) topic: String,
}

/// The scripts that `paths` name, in order: files as they are, of folders all `*.pkt` below them. Only those whose
/// name contains one of `filters`, if there are any.
pub(crate) fn find(paths: &[PathBuf], filters: &[String]) -> Result<Vec<Script>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let metadata =
            fs::metadata(path).map_err(|e| Failure::of(format!("cannot read {}", path.display()), &e))?;
        if metadata.is_dir() {
            let begin = found.len();
            walk(path, path, 0, &mut found)?;
            // Scripts of one name in several folders are told apart, and so are their captures.
            if paths.len() > 1 {
                let named = found.iter_mut().skip(begin);
                named.for_each(|script| script.name = script.path.display().to_string());
            }
        } else {
            found.push(Script { path: path.clone(), name: path.display().to_string(), topic: topic(path) });
        }
    }
    if found.is_empty() {
        let list: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::Failed(format!("no script in {}: scripts are called *.pkt", list.join(", "))));
    }
    let all = found.len();
    found.retain(|script| filters.is_empty() || filters.iter().any(|part| script.name.contains(part)));
    if found.is_empty() {
        let filters = filters.join(" or ");
        return Err(Failure::Failed(format!("none of {all} scripts has {filters} in its name: try --list")));
    }
    Ok(found)
}

fn topic(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name);
    folder.map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn walk(root: &Path, folder: &Path, depth: usize, found: &mut Vec<Script>) -> Result<(), Failure> {
    let failed = |e: &std::io::Error| Failure::of(format!("cannot read {}", folder.display()), e);
    let mut entries =
        fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|e| failed(&e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(|e| failed(&e))?.is_dir() {
            if depth < DEEPEST {
                walk(root, &path, depth + 1, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            let below = path.strip_prefix(root).unwrap_or(&path);
            let topic = match below.parent() {
                Some(parent) if parent != Path::new("") => parent.display().to_string(),
                _ => topic(&path),
            };
            found.push(Script { name: below.display().to_string(), topic, path });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_and_files_taken() {
        let root = tempfile();
        for file in ["b/two.pkt", "b/one.pkt", "a/x/deep.pkt", "b/notes.txt", "top.pkt"] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        let names = |paths: &[PathBuf], filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|&f| f.to_owned()).collect();
            find(paths, &filters)
                .map(|found| found.into_iter().map(|s| (s.name, s.topic)).collect::<Vec<_>>())
        };
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect::<Vec<_>>()
        };
        let top = root.file_name().unwrap().to_str().unwrap();
        let all = [("a/x/deep.pkt", "a/x"), ("b/one.pkt", "b"), ("b/two.pkt", "b"), ("top.pkt", top)];
        assert_eq!(names(std::slice::from_ref(&root), &[]).unwrap(), of(&all));
        let two = names(&[root.join("a"), root.join("b")], &[]).unwrap();
        let path = |file: &str| root.join(file).display().to_string();
        assert_eq!(
            two,
            of(&[(&path("a/x/deep.pkt"), "x"), (&path("b/one.pkt"), "b"), (&path("b/two.pkt"), "b")])
        );
        assert_eq!(names(std::slice::from_ref(&root), &["one", "x/"]).unwrap(), of(&all[..2]));
        let file = root.join("b/notes.txt");
        assert_eq!(
            names(std::slice::from_ref(&file), &[]).unwrap(),
            [(file.display().to_string(), "b".to_owned())]
        );
        assert!(
            matches!(names(&[root.join("none")], &[]), Err(Failure::Failed(text)) if text.contains("none"))
        );
        assert!(matches!(names(std::slice::from_ref(&root), &["zzz"]), Err(Failure::Failed(_))));
        fs::remove_dir_all(&root).unwrap();
    }

    fn tempfile() -> PathBuf {
        let path = std::env::temp_dir().join(format!("tunstack-scripts-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }
}

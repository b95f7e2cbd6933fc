//! A directory as a page.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::upload;

/// What stays as it is in a part of a URL's path (RFC 3986 section 2.3).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{width:100%;border-collapse:collapse}td,th{text-align:left;padding:.2rem .5rem}\
    td:nth-child(2),th:nth-child(2){text-align:right;font-variant-numeric:tabular-nums}\
    tr:nth-child(even){background:#8881}footer{color:#888;margin-top:2rem}\
    @media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}";

struct Row {
    name: Vec<u8>,
    directory: bool,
    size: u64,
    modified: String,
}

/// The page for a directory that is served under the path `url`, already decoded.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn page(directory: &Path, url: &str) -> io::Result<String> {
    let mut rows: Vec<Row> = fs::read_dir(directory)?.filter_map(row).collect();
    rows.sort_by(|a, b| b.directory.cmp(&a.directory).then_with(|| a.name.cmp(&b.name)));
    let title = escape(url);
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>\
         <table><tr><th>Name<th>Size<th>Changed (UTC)\n"
    );
    if url != "/" {
        page.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for Row { name, directory, size, modified } in rows {
        let slash = if directory { "/" } else { "" };
        let href = percent_encode(&name, KEPT);
        let shown = escape(&String::from_utf8_lossy(&name));
        let size = if directory { String::new() } else { size_in_words(size) };
        // Writing to a string cannot fail.
        let _ =
            writeln!(page, "<tr><td><a href=\"{href}{slash}\">{shown}{slash}</a><td>{size}<td>{modified}");
    }
    page.push_str(concat!("</table><footer>tunstack ", env!("CARGO_PKG_VERSION"), "</footer>\n"));
    Ok(page)
}

/// One line; none for what vanishes while one looks, and for uploads that are not complete.
fn row(entry: io::Result<fs::DirEntry>) -> Option<Row> {
    let entry = entry.ok()?;
    let name = entry.file_name().as_bytes().to_vec();
    if upload::is_temporary(&name) {
        return None;
    }
    // Of a link, not of what it leads to: that may be outside.
    let metadata = entry.metadata().ok()?;
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(Row { name, directory: metadata.is_dir(), size: metadata.len(), modified: date(since.as_secs()) })
}

fn size_in_words(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let (mut value, mut unit) = (size as f64 / 1024.0, 0);
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Seconds since 1970 as a date and time, by the civil calendar's cycle of 400 years.
fn date(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Counted from 1 March of the year 0, so that the leap day comes last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", time / 3600, time / 60 % 60)
}

/// Text that is safe in HTML, between tags and in quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (4_102_444_799, "2099-12-31 23:59"),
            (1_709_251_200, "2024-03-01 00:00"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn sizes() {
        for (size, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB")] {
            assert_eq!(size_in_words(size), text);
        }
        assert_eq!(size_in_words(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(escape("<a href='\"&'>"), "&lt;a href=&#39;&quot;&amp;&#39;&gt;");
    }
}

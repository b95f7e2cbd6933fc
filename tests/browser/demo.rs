//! The page of `tunstack demo`.

use crate::chromium::{SIZE, show};
use crate::picture::{Colour, Picture};
use crate::program::Tunstack;

// The page's own, as src/cli/demo.html has them, on white.
const WHITE: Colour = [255; 3];
const BLACK: Colour = [0; 3];
const RULE: Colour = [223; 3]; // #8884
const SOFT: Colour = [136; 3]; // #888
const MARK: Colour = [0, 170, 119]; // #0a7

/// The table: as wide as the page's text, with values in the right part of it.
const LEFT: u32 = 32;
const VALUES: u32 = 285;
const RIGHT: u32 = 768;

/// Whether it is the page, after its script has asked once for the figures of the connection, and found them
/// changed, which marks them.
fn is_the_page(picture: &Picture) -> Result<(), String> {
    let ensure = |so: bool, what: &str| if so { Ok(()) } else { Err(what.to_owned()) };
    let (width, height) = (picture.width, picture.height);
    ensure((width, height) == SIZE, &format!("{width} by {height} pixels"))?;
    let white = picture.count(0..width, 0..height, WHITE, 0);
    ensure(white * 10 > (width * height * 7) as usize, &format!("{white} pixels are white"))?;
    let margins = picture.count(0..LEFT - 2, 0..height, WHITE, 0)
        + picture.count(RIGHT + 2..width, 0..height, WHITE, 0);
    ensure(margins == ((LEFT - 2 + width - RIGHT - 2) * height) as usize, "something is in the margins")?;

    let rules = picture.rules(LEFT + 2..RIGHT - 2, RULE, 4);
    ensure(rules.len() >= 8, &format!("rules of a table at {rules:?}"))?;
    let heading = picture.count(LEFT..RIGHT, 0..rules[0], BLACK, 40);
    ensure(heading > 300, &format!("{heading} black pixels over the table"))?;
    for row in rules.windows(2) {
        let (y, name) = (row[0] + 1..row[1], format!("row {row:?}: "));
        let apart = row[1] - row[0];
        ensure((28..=45).contains(&apart), &format!("{name}{apart} high"))?;
        let names = picture.count(LEFT..VALUES, y.clone(), SOFT, 24);
        let values = picture.count(VALUES..RIGHT, y.clone(), MARK, 24);
        let strays = picture.count(LEFT..VALUES, y, MARK, 24);
        ensure(names >= 5, &format!("{name}{names} pixels of a name"))?;
        ensure(values >= 5, &format!("{name}{values} pixels of a marked value"))?;
        ensure(strays == 0, &format!("{name}a value in the place of a name"))?;
    }
    Ok(())
}

pub(crate) fn is_shown() {
    let demo = Tunstack::start(&["demo"]);
    for (url, addresses) in [
        ("http://10.7.0.2/", ["10.7.0.1:", "→ 10.7.0.2:80"]),
        ("http://[fd07::2]/", ["[fd07::1]:", "→ [fd07::2]:80"]),
    ] {
        let shown = show(url, &[]);
        let picture = shown.picture.unwrap_or_else(|| panic!("{url} does not load: {}", shown.said));
        is_the_page(&picture).unwrap_or_else(|why| panic!("{url}: {why}"));
        for text in ["It works.", "ESTABLISHED", "Live: asked again"].into_iter().chain(addresses) {
            assert!(shown.document.contains(text), "{url}: no {text:?} in {}", shown.document);
        }
    }
    let counters = demo.end();
    assert!(counters["TcpInSegs"].as_u64() > Some(0), "{counters}");
}

/// An address at which nobody answers, and what Chromium shows of it; another page of the same server.
pub(crate) fn something_else_is_not_it() {
    let demo = Tunstack::start(&["demo"]);
    let refused = show("http://10.7.0.2:81/", &[]);
    // Some versions show a page of their own, and tell of it.
    assert!(refused.picture.is_none_or(|picture| is_the_page(&picture).is_err()));
    assert!(!refused.document.contains("It works."), "{}", refused.document);
    let said = refused.said + &refused.document;
    assert!(said.contains("ERR_CONNECTION_REFUSED"), "{said}");
    // On its own it gives no picture, in a frame it does.
    let in_a_frame = "data:text/html,<iframe src='http://10.7.0.2:81/' \
                      style='position:fixed;inset:0;width:100%;height:100%;border:0'></iframe>";
    let mut pictures = 0;
    for url in [in_a_frame, "http://10.7.0.2/nothing", "http://10.7.0.2/files/"] {
        // Where it gives none, nobody takes it for the page.
        let Some(picture) = show(url, &[]).picture else { continue };
        pictures += 1;
        assert_eq!((picture.width, picture.height), SIZE, "{url}");
        let why = is_the_page(&picture).expect_err(url);
        println!("{url}: {why}");
    }
    assert!(pictures > 0, "nothing was looked at");
    demo.end();
}

//! The page of the HTTPS server of `examples/`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use webpki::EndEntityCert;

use crate::chromium::{SIZE, show};
use crate::example::Example;
use crate::host::{ready, until_routed};
use crate::picture::{Colour, Picture};
use crate::program::Scratch;

// The page's own, as examples/https_server.html has them.
const GROUND: Colour = [0, 170, 119]; // #0a7
const TEXT: Colour = [255; 3];

fn is_the_page(picture: &Picture) -> Result<(), String> {
    let ensure = |so: bool, what: &str| if so { Ok(()) } else { Err(what.to_owned()) };
    let (width, height) = (picture.width, picture.height);
    ensure((width, height) == SIZE, &format!("{width} by {height} pixels"))?;
    let ground = picture.count(0..width, 0..height, GROUND, 0);
    ensure(ground * 10 > (width * height * 8) as usize, &format!("{ground} pixels of the background"))?;
    let (text, all) = (80..width - 80, picture.count(0..width, 0..height, TEXT, 0));
    let inside = picture.count(text, 40..height - 150, TEXT, 0);
    ensure(inside > 1000 && inside == all, &format!("{inside} of {all} white pixels in the text's place"))
}

/// The pin by which Chromium can be told to trust this certificate's key: base64 of the SHA-256 of its
/// SubjectPublicKeyInfo (RFC 7469 section 2.4).
fn pin(certificate: &CertificateDer<'_>) -> String {
    let certificate = EndEntityCert::try_from(certificate).unwrap();
    STANDARD.encode(Sha256::digest(certificate.subject_public_key_info()))
}

fn trusting(pin: &str) -> String {
    format!("--ignore-certificate-errors-spki-list={pin}")
}

pub(crate) fn is_shown() {
    ready();
    let dir = Scratch::new();
    let file = dir.path("cert.pem");
    let example = Example::start("https_server", &[Path::new("--cert-out"), &file]);
    until_routed();
    let trusted = trusting(&pin(&CertificateDer::from_pem_file(&file).unwrap()));
    for url in ["https://10.7.0.2/", "https://[fd07::2]/"] {
        let shown = show(url, &[&trusted]);
        let picture = shown.picture.unwrap_or_else(|| panic!("{url} does not load: {}", shown.said));
        is_the_page(&picture).unwrap_or_else(|why| panic!("{url}: {why}"));
        assert!(shown.document.contains("This page came by HTTP/2.0 and TLS"), "{url}: {}", shown.document);
    }
    // Somebody else's key, and no word about any.
    let other = rcgen::generate_simple_self_signed(vec!["10.7.0.2".to_owned()]).unwrap();
    for flags in [&[trusting(&pin(other.cert.der())).as_str()][..], &[]] {
        let shown = show("https://10.7.0.2/", flags);
        // Some versions show a page of their own, and tell of it.
        assert!(shown.picture.is_none_or(|picture| is_the_page(&picture).is_err()), "{flags:?}");
        assert!(!shown.document.contains("This page came by"), "{flags:?}: {}", shown.document);
        let said = shown.said + &shown.document;
        assert!(said.contains("ERR_CERT_AUTHORITY_INVALID"), "{flags:?}: {said}");
    }
    // The text alone makes no page.
    let text = "data:text/html,<style>body{background:%230a7}</style>It works, and nobody listens.";
    is_the_page(&show(text, &[]).picture.unwrap()).expect_err("no page");
    // It says of each connection that did not trust it why that ended, and nothing else.
    let complaints = example.end();
    assert!(complaints.lines().all(|line| line.starts_with("TLS: ")), "{complaints}");
}

//! `TFO_COOKIE`: what a server gives the other end (RFC 7413 §4.1.2), so that scripts run over any addresses.

use super::Options;
use super::settings::{self, Settings};
use crate::core::addr::{Endpoint, Quad};
use crate::core::tcp::fast_open::secret::Secrets;
use crate::packetdrill::parser;
use crate::packetdrill::script::Script;
use crate::packetdrill::source::SyntaxError;

const SYMBOL: &str = "TFO_COOKIE";

/// The secret of public scripts, in which words have their lowest octet first. It is meant where a script sets none at its
/// beginning but later, by a call.
const USUAL: Secrets =
    Secrets { primary: *b"\xa1\xa1\xa1\xa1\xb2\xb2\xb2\xb2\xc3\xc3\xc3\xc3\xd4\xd4\xd4\xd4", backup: None };

/// The script, with the symbol defined where nobody else does. Its secret is known when its first command has been read, so
/// it is read twice then.
///
/// # Errors
/// The text is no script.
pub(super) fn parse(text: &str, options: &Options) -> Result<Script, SyntaxError> {
    let mut defines = settings::defines(options);
    let head = parser::head(text);
    let of_head = head.iter().filter(|line| line.name == "define").filter_map(|line| line.value.as_deref());
    let mut defined = of_head
        .filter_map(|value| value.split_once('='))
        .map(|(name, _)| name)
        .chain(defines.iter().map(|(name, _)| name.as_str()));
    if !text.contains(SYMBOL) || defined.any(|name| name == SYMBOL) {
        return parser::parse(text, &defines);
    }
    defines.push((SYMBOL.to_owned(), "00".repeat(8)));
    let script = parser::parse(text, &defines)?;
    // Options or commands that are refused are told by who obeys them, and no packet is looked at then.
    let Some(cookie) = cookie(&script, options) else { return Ok(script) };
    defines.pop();
    defines.push((SYMBOL.to_owned(), cookie));
    parser::parse(text, &defines)
}

fn cookie(script: &Script, options: &Options) -> Option<String> {
    let mut settings = Settings::of(script, options).ok()?;
    let config = super::config(script, &mut settings, &options.folder).ok()?;
    let secrets = config.tcp.fast_open_secrets.unwrap_or(USUAL);
    // Ports do not count.
    let [local, remote] = [settings.net.local, settings.net.remote].map(|ip| Endpoint::new(ip.into(), 0));
    let cookie = secrets.cookie(&Quad { local, remote });
    Some(cookie.octets().iter().map(|octet| format!("{octet:02x}")).collect())
}

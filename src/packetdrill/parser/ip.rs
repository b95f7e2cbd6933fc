//! What a script says of IP headers.

use std::net::IpAddr;

use super::super::lexer::Kind;
use super::super::script::{Direction, IpLabels, Tos};
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::number;

type Result<T> = std::result::Result<T, SyntaxError>;

/// As many IP headers as a packet may be enclosed in.
const MOST_OUTER: usize = 8;

/// `ipv4 192.0.2.1 > 192.0.2.2:` and the same of IPv6, each perhaps with labels behind the family.
pub(super) fn outer(c: &mut Cursor<'_>, direction: Direction) -> Result<Vec<(IpAddr, IpAddr, IpLabels)>> {
    let mut headers = Vec::new();
    loop {
        let next = c.peek();
        let v4 = next.is("ipv4");
        if ["gre", "GREv0"].into_iter().any(|word| next.is(word)) {
            return Err(c.unsupported("encapsulation in GRE", "an IP header or a segment"));
        } else if next.is("mpls") {
            return Err(c.unsupported("encapsulation in MPLS", "an IP header or a segment"));
        } else if !v4 && !next.is("ipv6") {
            return Ok(headers);
        } else if headers.len() == MOST_OUTER {
            return Err(c.fail(format!("at most {MOST_OUTER} outer headers")));
        }
        c.take();
        let labels = labels(c, direction)?;
        let source = address(c, v4)?;
        c.mark(">")?;
        let destination = address(c, v4)?;
        c.expect(":", "`:` behind the header's addresses")?;
        headers.push((source, destination, labels));
    }
}

fn address(c: &mut Cursor<'_>, v4: bool) -> Result<IpAddr> {
    match c.peek().kind {
        Kind::Address(ip) if ip.is_ipv4() == v4 => {
            c.take();
            Ok(ip)
        }
        _ => Err(c.fail(if v4 { "an IPv4 address" } else { "an IPv6 address" })),
    }
}

/// `[ect0]`, `(ttl 64)`, `[tos 0x2, flowlabel 0x1]`; nothing at all is all right.
pub(super) fn labels(c: &mut Cursor<'_>, direction: Direction) -> Result<IpLabels> {
    let mut labels = IpLabels::default();
    let close = match c.peek() {
        open if open.is("[") => "]",
        open if open.is("(") => ")",
        _ => return Ok(labels),
    };
    c.take();
    loop {
        label(c, direction, &mut labels)?;
        if c.take_mark(close).is_some() {
            return Ok(labels);
        }
        c.expect(",", &format!("`,` or `{close}`"))?;
    }
}

fn label(c: &mut Cursor<'_>, direction: Direction, labels: &mut IpLabels) -> Result<()> {
    let name = c.peek();
    let known = match (name.kind, name.text) {
        (Kind::Word, "ttl") => labels.ttl.is_some(),
        (Kind::Word, "flowlabel") => labels.flow_label.is_some(),
        (Kind::Word, "tos" | "noecn" | "ect0" | "ect1" | "ect01" | "ce") => labels.tos != Tos::Unsaid,
        _ => {
            return Err(c.fail("`noecn`, `ect0`, `ect1`, `ect01`, `ce`, `tos`, `ttl` or `flowlabel`"));
        }
    };
    if known {
        return Err(c.fail("a label that was not said before"));
    }
    if name.text == "ect01" && direction == Direction::Inbound {
        return Err(c.fail("one codepoint of ECN in an inbound packet"));
    }
    c.take();
    match name.text {
        "ttl" => labels.ttl = Some(number::u8(c, "a TTL")?),
        "flowlabel" => labels.flow_label = Some(number::hex(c, 0xf_ffff, "a flow label")?),
        "tos" => labels.tos = Tos::Octet(number::hex(c, 0xff, "the octet of DSCP and ECN")? as u8),
        "ect01" => labels.tos = Tos::Ect01,
        "ect1" => labels.tos = Tos::Ecn(1),
        "ect0" => labels.tos = Tos::Ecn(2),
        "ce" => labels.tos = Tos::Ecn(3),
        _ => labels.tos = Tos::Ecn(0),
    }
    Ok(())
}

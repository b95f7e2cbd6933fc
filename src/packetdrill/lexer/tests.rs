//! What is a token, and of what kind.

use super::*;

fn tokens(text: &str) -> Vec<(Kind, &str)> {
    let mut lexer = Lexer::new(text);
    let mut found = Vec::new();
    loop {
        let token = lexer.token();
        assert_eq!(&text[token.span.range()], token.text);
        match token.kind {
            Kind::End => return found,
            kind => found.push((kind, token.text)),
        }
    }
}

fn ip(text: &str) -> Kind {
    Kind::Address(text.parse().unwrap())
}

#[test]
fn numbers_words_and_points() {
    use Kind::*;
    assert_eq!(
        tokens("12 -12 0xfF 1.5 -.5 .5"),
        [(Integer, "12"), (Integer, "-12"), (Hex, "0xfF"), (Float, "1.5"), (Float, "-.5"), (Float, ".5")]
    );
    assert_eq!(
        tokens("12ab 0xfg S2. 0x"),
        [(Word, "12ab"), (Word, "0xfg"), (Word, "S2"), (Mark, "."), (Word, "0x")]
    );
    assert_eq!(tokens("+0...0.1"), [(Mark, "+"), (Integer, "0"), (Ellipsis, "..."), (Float, "0.1")]);
    assert_eq!(tokens("+.01....02"), [(Mark, "+"), (Float, ".01"), (Ellipsis, "..."), (Float, ".02")]);
    assert_eq!(tokens("P.5 ..1"), [(Word, "P"), (Float, ".5"), (Mark, "."), (Float, ".1")]);
    assert_eq!(tokens("- --a_1=b"), [(Mark, "-"), (Option, "--a_1"), (Mark, "="), (Word, "b")]);
}

#[test]
fn a_range_of_sequence_numbers_is_no_address() {
    use Kind::*;
    assert_eq!(tokens("1:1001(1000)")[..3], [(Integer, "1"), (Mark, ":"), (Integer, "1001")]);
    assert_eq!(tokens("fd:1"), [(Word, "fd"), (Mark, ":"), (Integer, "1")]);
    assert_eq!(tokens("1:2:3:4:5:6:7").len(), 13, "one number short");
}

#[test]
fn addresses() {
    for text in
        ["192.0.2.1", "fd::1", "::", "::1", "1::", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "2001:DB8::a:b"]
    {
        assert_eq!(tokens(text), [(ip(text), text)]);
        assert_eq!(tokens(&format!("{text}:")), [(ip(text), text), (Kind::Mark, ":")]);
    }
    assert!(tokens("256.0.2.1").iter().all(|(kind, _)| *kind == Kind::Float));
    assert_eq!(tokens("192.0.2").len(), 2);
}

#[test]
fn quotation_marks_and_backslashes() {
    use Kind::*;
    assert_eq!(
        tokens(r#""a\"b" `c\`d` "\\" "//""#),
        [(Text, r#""a\"b""#), (Command, r"`c\`d`"), (Text, r#""\\""#), (Text, r#""//""#)]
    );
    assert_eq!(tokens("%{ a }b}%c"), [(Code, "%{ a }b}%"), (Word, "c")]);
}

#[test]
fn comments_and_blanks_are_nothing() {
    let text = "a // b\n# c\n/* d\n * e **/\tf\r\n//";
    assert_eq!(tokens(text), [(Kind::Word, "a"), (Kind::Word, "f")]);
    assert_eq!(tokens("/**/a/***/b"), [(Kind::Word, "a"), (Kind::Word, "b")]);
}

#[test]
fn what_is_not_closed_takes_the_rest() {
    for text in ["\"a b", "\"a\\\"", "`a", "%{ a }", "%{", "/* a", "/*/"] {
        let whole = format!("x {text}");
        let found = tokens(&whole);
        assert_eq!(found.len(), 2, "{text}");
        assert!(matches!(found[1], (Kind::Unfinished(_), rest) if rest == text), "{found:?}");
    }
}

#[test]
fn other_characters_are_marks_however_wide() {
    assert_eq!(
        tokens("\u{e9}\u{1f600}\0"),
        [(Kind::Mark, "\u{e9}"), (Kind::Mark, "\u{1f600}"), (Kind::Mark, "\0")]
    );
}

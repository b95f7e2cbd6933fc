use super::*;

fn words(text: &str) -> Vec<Vec<String>> {
    split(text).unwrap().into_iter().map(|simple| simple.words).collect()
}

#[test]
fn commands_end_at_operators_and_words_at_blanks() {
    assert_eq!(
        words("a b;c  'd e' \"f g\"h && i\nj # k l\n#m\n; n\\\n o"),
        [vec!["a", "b"], vec!["c", "d e", "f gh"], vec!["i"], vec!["j"], vec!["n", "o"],]
    );
    assert_eq!(words(""), Vec::<Vec<String>>::new());
}

#[test]
fn behind_or_nothing_runs() {
    assert_eq!(words("a || b; c || d | e && f"), [["a"], ["c"], ["f"]]);
}

#[test]
fn redirections_are_no_words() {
    let found = split("a 2>/dev/null b >x 2>&1; echo 1 > /y; c 1>z 2").unwrap();
    let parts: Vec<_> = found.iter().map(|simple| (simple.words.join(" "), simple.to.as_deref())).collect();
    assert_eq!(parts, [("a b".into(), Some("x")), ("echo 1".into(), Some("/y")), ("c 2".into(), Some("z"))]);
    assert!(split("a | b").unwrap().iter().all(|simple| simple.piped));
}

#[test]
fn products_are_computed_and_other_dollars_stay() {
    assert_eq!(words("a=\"1 $((2*3 * 4))\" $((7)) ${X} '$((1))'"), [["a=1 24", "7", "${X}", "$((1))"]]);
    let unknown = |text: &str| Refused::Unknown(format!("a command's {text} is no product of numbers"));
    assert_eq!(split("$((1+1))").unwrap_err(), unknown("$((1+1))"));
    assert_eq!(split("$((1/0))").unwrap_err(), unknown("$((1/0))"));
    assert!(split("$((99999999999*99999999999))").is_err());
    assert!(split("$((").is_err());
}

#[test]
fn a_quote_has_an_end() {
    assert_eq!(split("a 'b").unwrap_err(), Refused::Faulty("a command's ' has no end".into()));
    assert_eq!(split("a \"b").unwrap_err(), Refused::Faulty("a command's \" has no end".into()));
}

use super::*;
use crate::packetdrill::net::IpVersion;
use crate::packetdrill::parser::parse;

fn settings(text: &str, given: &[(&str, Option<&str>)]) -> Result<Settings, Box<Failure>> {
    let script = parse(text, &[]).unwrap();
    let settings = given.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
    Settings::of(&script, &Options { settings: settings.collect(), ..Options::default() })
}

#[test]
fn the_command_line_overrides_the_script() {
    let text = "--ip_version=ipv6\n--mtu=1400\n--bind_port=7\n0 `true`";
    let found = settings(text, &[("ip_version", Some("ipv4")), ("bind_port", Some("9"))]).unwrap();
    assert_eq!((found.net.version, found.net.mtu, found.net.bind_port), (IpVersion::V4, 1400, 9));
}

#[test]
fn a_script_does_not_choose_a_program() {
    for command in ["/bin/sh", "python3 -c pass", "./python3", "touch x"] {
        let text = format!("--code_command=\"{command}\"\n0 `true`");
        let found = settings(&text, &[]).unwrap();
        assert_eq!(found.code_command, "python3 -I -S");
        assert_eq!(found.notes, [format!("--code_command={command}: obeyed on the command line only")]);
    }
    for language in ["python", "python3"] {
        let found = settings(&format!("--code_command={language}\n0 `true`"), &[]).unwrap();
        assert_eq!((found.code_command.as_str(), found.notes.len()), ("python3 -I -S", 0));
    }
    let found =
        settings("--code_command=python\n0 `true`", &[("code_command", Some("/opt/python -E"))]).unwrap();
    assert_eq!((found.code_command.as_str(), found.notes.len()), ("/opt/python -E", 0));
}

#[test]
fn what_has_no_effect_is_noted_and_what_is_unknown_refused_at_its_place() {
    let found = settings("--speed=1000\n--verbose\n--define=A=1\n0 `true`", &[]).unwrap();
    assert_eq!(found.notes, ["--speed: no effect here"]);
    let failure = settings("--mtu=1400\n--none=1\n0 `true`", &[]).unwrap_err();
    assert_eq!((failure.what.as_str(), failure.span.range()), ("no such option: --none", 11..19));
    let failure = settings("0 `true`", &[("mtu", Some("x"))]).unwrap_err();
    assert_eq!(failure.what, "--mtu=x: expected a number from 68 to 65535");
    let failure = settings("0 `true`", &[("code_format", Some("perl"))]).unwrap_err();
    assert_eq!(failure.what, "--code_format=perl: expected python");
    let failure = settings("0 `true`", &[("local_ip", Some("::1"))]).unwrap_err();
    assert_eq!(failure.what, "--local_ip=::1: not an address of --ip_version=ipv4");
}

#[test]
fn symbols_of_the_command_line() {
    let settings =
        vec![("define".to_owned(), Some("A=b=c".to_owned())), ("mtu".to_owned(), Some("1".to_owned()))];
    let options = Options { settings, ..Options::default() };
    assert_eq!(defines(&options), [("A".to_owned(), "b=c".to_owned())]);
}

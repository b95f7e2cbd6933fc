use super::*;

const COMMAND: &str = "python3";

/// A program of these pieces, each with its congestion window.
fn program(pieces: &[(&str, u64)]) -> Program {
    let mut program = Program::default();
    for (at, (text, window)) in pieces.iter().enumerate() {
        let span = Span { start: at, end: at + 1 };
        let variables = vec![
            ("tcpi_state", 1),
            ("tcpi_options", 7),
            ("tcpi_snd_cwnd", *window),
            ("tcpi_pacing_rate", u64::MAX),
        ];
        program.add(&Code { text: (*text).to_owned(), span }, variables);
    }
    program
}

fn failure(program: &Program) -> Failure {
    match program.run(COMMAND) {
        Err(Stop::Failed(failure)) => *failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn assertions_see_what_was_when_they_stood() {
    let pieces = [
        ("assert tcpi_state == TCP_ESTABLISHED and tcpi_snd_cwnd == 10\ndef twice(x):\n  return 2 * x", 10),
        ("assert tcpi_snd_cwnd == twice(10)", 20),
        ("assert (tcpi_options & TCPI_OPT_SACK) != 0 and tcpi_pacing_rate == 2**64 - 1", 10),
    ];
    assert_eq!(program(&pieces).run(COMMAND), Ok(()));
    assert_eq!(Program::default().run("no-such-program"), Ok(()), "there is nothing to run");
}

#[test]
fn a_failure_says_which_piece_and_what_was_there() {
    let broken =
        program(&[("assert True", 10), ("assert tcpi_snd_cwnd == 11, 'cwnd %d' % tcpi_snd_cwnd", 10)]);
    let failure = failure(&broken);
    assert_eq!(failure.span, Span { start: 1, end: 2 });
    assert_eq!(failure.what, "the code failed: AssertionError: cwnd 10");
    assert_eq!(failure.expected.as_deref(), Some("assert tcpi_snd_cwnd == 11, 'cwnd %d' % tcpi_snd_cwnd"));
    assert_eq!(failure.actual.as_deref(), Some("tcpi_snd_cwnd = 10"));
}

#[test]
fn code_that_is_none_is_a_failure_at_its_place() {
    let failure = failure(&program(&[("assert True", 10), ("assert (", 10), ("x = 1", 10)]));
    assert_eq!(failure.span, Span { start: 1, end: 2 });
    assert!(failure.what.contains("SyntaxError"), "{}", failure.what);
}

#[test]
fn a_name_that_is_none_is_a_failure() {
    let failure = failure(&program(&[("assert tcpi_none == 0", 10)]));
    assert_eq!(failure.what, "the code failed: NameError: name 'tcpi_none' is not defined");
}

#[test]
fn without_python_nothing_is_judged() {
    let result = program(&[("assert False", 10)]).run("no-such-program-here");
    let why = r#"the script's Python code was not run: there is no "no-such-program-here" here"#;
    assert_eq!(result, Err(Stop::Skipped(why.to_owned())));
}

#[test]
fn much_that_is_said_does_not_stop_the_program() {
    let noise = "import sys\nsys.stderr.write('x' * 300000)\nsys.stdout.write('y' * 300000)";
    assert_eq!(program(&[(noise, 10)]).run(COMMAND), Ok(()));
}

#[test]
fn a_program_that_does_not_end_is_ended() {
    let short = Duration::from_millis(100);
    assert!(matches!(execute(COMMAND, "while True: pass", short), Ok(Ended::Late)));
}

#[test]
fn of_much_that_is_said_the_end_is_kept() {
    let noise = "import sys\nsys.stderr.write('x' * 300000 + 'end')";
    let Ok(Ended::By(status, said)) = execute(COMMAND, noise, LONGEST_RUN) else { panic!("it ends") };
    assert!(status.success() && said.len() == MOST_SAID && said.ends_with("xend"), "{}", said.len());
}

#[test]
fn code_that_ends_before_its_last_assertion_has_not_passed() {
    for early in ["sys.exit(0)", "import os; os._exit(0)", "raise SystemExit"] {
        let failure = failure(&program(&[(early, 10), ("assert False", 10)]));
        assert_eq!(failure.what, "the code ended before its last assertion", "{early}");
        assert_eq!(failure.span, Span { start: 1, end: 2 });
    }
    let Err(Stop::Failed(_)) = program(&[("assert False", 10)]).run("true") else {
        panic!("it judges nothing")
    };
}

#[test]
fn what_the_program_started_ends_with_it() {
    let fork = "import os, sys, time\nchild = os.fork()\nif not child: time.sleep(1000)\nsys.stderr.write(str(child))";
    let Ok(Ended::By(status, said)) = execute(COMMAND, fork, LONGEST_RUN) else { panic!("it ends") };
    assert!(status.success(), "{said}");
    // Killed; whoever takes in orphans may not have come to it yet, or has already.
    let state = std::fs::read_to_string(format!("/proc/{said}/stat")).unwrap_or_default();
    assert!(
        state.is_empty() || [") Z ", ") X ", ") R "].iter().any(|state_of| state.contains(state_of)),
        "{state}"
    );
}

#!/usr/bin/env bash
# setup/test.sh [--quick] [ARGUMENTS OF cargo test]
#
# Runs all tests: units, properties, simulated networks, and real TUN devices with the kernel, curl, dig, Chromium
# and tshark at the other end, each of those in a network namespace of its own, so that the host's network is not
# touched.
# The tools for it are installed first, on Debian and its kin. Ends with the number of tests that passed, failed
# and were skipped.
#
#   --quick    skips what takes long, and what needs rights that are not there; says how many
#   --help     this text
#
# Arguments go to `cargo test`: setup/test.sh --test engine
# Tests with devices need root, or a system where users may make namespaces and open /dev/net/tun.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "$0")/lib.sh"

quick=false arguments=()
for argument in "$@"; do
    case $argument in
    --quick) quick=true ;;
    -h | --help) help && exit 0 ;;
    *) arguments+=("$argument") ;;
    esac
done

need cc chromium curl dig ip nc ping python3 tshark unshare setpriv wrk
need_cargo

# What the tests with devices need. They find it out for themselves, and are skipped without it.
why=
if ! { : <>/dev/net/tun; } 2>/dev/null; then
    why="/dev/net/tun cannot be opened"
elif ! unshare -n true 2>/dev/null && ! unshare -r -n true 2>/dev/null; then
    why="network namespaces cannot be made"
fi
if [ -n "$why" ]; then
    $quick || die "$why: run as root (in a container: --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN), or without those tests: setup/test.sh --quick"
    note "$why: tests with devices are skipped"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

set -- --workspace --all-features ${arguments[@]+"${arguments[@]}"}
note "building the tests (the first time takes some minutes)"
cargo_as_user test --no-run --quiet "$@" || die "the tests do not build: see above"

$quick || case " ${arguments[*]-} " in *" -- "*) set -- "$@" --include-ignored ;; *) set -- "$@" -- --include-ignored ;; esac
status=0
(cd "$TOP" && cargo test --no-fail-fast "$@" 2>&1) </dev/null | tee "$log" || status=$?

# Every test binary ends with: test result: ok. 4 passed; 0 failed; 1 ignored; …
summary=$(awk '
    /^test result: / {
        for (i = 2; i <= NF; i++) {
            if ($i == "passed;") passed += $(i - 1)
            if ($i == "failed;") failed += $(i - 1)
            if ($i == "ignored;") ignored += $(i - 1)
        }
    }
    END { print passed + 0, failed + 0, ignored + 0 }' "$log")
read -r passed failed skipped <<<"$summary"

if [ "$skipped" -gt 0 ]; then
    printf '\nskipped:\n'
    { grep -E '^test .*\.\.\. ignored' "$log" || true; } | sed 's/^test /  /; s/ *\.\.\. ignored,* */  /'
fi
if [ "$failed" -gt 0 ]; then
    printf '\nfailed:\n'
    { grep -E '^test .*\.\.\. FAILED' "$log" || true; } | sed 's/^test /  /; s/ *\.\.\. FAILED//'
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"

[ "$status" -eq 0 ] || die "tests failed (cargo test: exit code $status)"
[ "$passed" -gt 0 ] || die "no test was run"
$quick || [ "$skipped" -eq 0 ] || die "$skipped tests were skipped"

#!/usr/bin/env bash
# setup/peer.sh [OCTETS]
#
# The host's kernel as peer, both ways, in a network namespace of its own: its netcat sends to `tunstack nc`,
# `tunstack nc` sends to its netcat, over IPv4 and over IPv6, and the digests of what was sent and of what
# came are compared. Then each pings the other. Ends with exit code 0 if all was right.
#
#   OCTETS     how much is sent each time, 20000000 unless told otherwise
#   --help     this text
#
# Needs root, or a system where users may make namespaces and open /dev/net/tun.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-} in
-h | --help) help && exit 0 ;;
"" | *[!0-9]*) [ $# -eq 0 ] || die "$1 is no number of octets: see setup/peer.sh --help" ;;
esac
octets=${1:-20000000}

if [ -z "${TUNSTACK_PEER:-}" ]; then
    need ip nc ping unshare
    build
    export TUNSTACK_PEER=$TUNSTACK
    if unshare -n true 2>/dev/null; then
        exec unshare -n "$0" "$octets"
    fi
    exec unshare -r -n "$0" "$octets"
fi

work=$(mktemp -d)
pid=
finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
head -c "$octets" /dev/urandom >"$work/sent"
failed=0

# In here, tun0 is made by each command and gone after it.
ours=(timeout 60 "$TUNSTACK_PEER" --log warn)

report() {
    if [ "$2" -eq 0 ] && { [ -z "${3:-}" ] || cmp -s "$work/sent" "$3"; }; then
        printf 'ok      %s\n' "$1"
    else
        printf 'FAILED  %s\n' "$1"
        failed=$((failed + 1))
    fi
}

# Reads what a server says until it says that it is ready.
until_said() {
    local line
    while IFS= read -r -t 10 line; do
        [[ $line != *$1* ]] || return 0
    done
    return 1
}

for family in 4 6; do
    case $family in
    4) stack=10.7.0.2 host=10.7.0.1 any=0.0.0.0 ;;
    6) stack=fd07::2 host=fd07::1 any=:: ;;
    esac

    rm -f "$work/told" && mkfifo "$work/told"
    "${ours[@]}" --json nc -l 4000 >"$work/came" 2>"$work/told" </dev/null &
    pid=$! status=0
    { until_said '"event":"ready"' && timeout 60 nc -n -N "$stack" 4000 <"$work/sent" >/dev/null; } <"$work/told" || status=$?
    wait "$pid" || status=$?
    report "IPv$family: the kernel sends $octets octets, the stack receives" "$status" "$work/came"

    rm -f "$work/told" && mkfifo "$work/told"
    timeout 60 nc -n -v -N -l "$any" 4001 >"$work/came" 2>"$work/told" </dev/null &
    pid=$! status=0
    { until_said Listening && "${ours[@]}" nc -N "$host" 4001 <"$work/sent" >/dev/null && cat >/dev/null; } <"$work/told" || status=$?
    wait "$pid" || status=$?
    report "IPv$family: the stack sends $octets octets, the kernel receives" "$status" "$work/came"

    status=0
    "${ours[@]}" ping -c 3 -i 0.2 "$host" >/dev/null || status=$?
    report "IPv$family: the stack pings the kernel" "$status"

    rm -f "$work/told" && mkfifo "$work/told"
    "${ours[@]}" --json echo >"$work/told" &
    pid=$! status=0
    { until_said '"event":"ready"' && ping -q -c 3 -i 0.2 -W 5 "$stack" >/dev/null && kill "$pid" && cat >/dev/null; } <"$work/told" ||
        status=$?
    wait "$pid" || status=$?
    pid=
    report "IPv$family: the kernel pings the stack" "$status"
done

[ "$failed" -eq 0 ] || die "$failed of 8 failed"

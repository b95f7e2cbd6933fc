#!/usr/bin/env bash
# setup/demo.sh [--check] [FLAGS OF tunstack demo]
#
# Builds tunstack, starts `tunstack demo` and fetches its page with curl, over IPv4 and over IPv6. The server
# then runs until Ctrl-C. What is missing (C compiler, curl) is installed first, on Debian and its kin.
#
#   --check    end the server at once, and exit 0 only if all was right: both pages came with status 200 and
#              everything was removed again
#   --help     this text; `target/release/tunstack demo --help` for the flags
#
# Needs root (or sudo) and /dev/net/tun; without root see setup/tun.sh. Where tun0 or 10.7.0.0/24 is taken:
#   setup/demo.sh --dev tun7 --addr 10.99.0.2/24 --addr6 fd99::2/64
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "$0")/lib.sh"

check=false ipv6=true device=tun0 flags=()
for flag in "$@"; do
    case $flag in
    --check) check=true && continue ;;
    -h | --help) help && exit 0 ;;
    --json) die "--json is for programs: they start target/release/tunstack demo --json themselves" ;;
    --no-ipv6) ipv6=false ;;
    --dev=*) device=${flag#--dev=} ;;
    *) [ "${flags[*]: -1}" != --dev ] || device=$flag ;;
    esac
    flags+=("$flag")
done
# Who only checks has no use for a log of requests.
case "$check ${flags[*]-} " in true*" --log"*) ;; true*) flags+=(--log warn) ;; esac

need curl ip
build

may_make_devices() {
    [ "$(id -u)" -eq 0 ] || { have getcap && getcap "$TUNSTACK" | grep -q cap_net_admin; }
}
if ! may_make_devices && ! ip link show dev "$device" >/dev/null 2>&1; then
    sudo_works || die "a TUN device needs root: type: sudo setup/demo.sh (or once: sudo setup/tun.sh up --user $USER)"
    exec sudo -- "$TOP/setup/demo.sh" "$@"
fi

before=false
! ip link show dev "$device" >/dev/null 2>&1 || before=true

work=$(mktemp -d)
pid=
finish() {
    [ -z "$pid" ] || kill -INT "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# A process group of its own: Ctrl-C is for us, and we pass it on once.
mkfifo "$work/out"
set -m
"$TUNSTACK" demo ${flags[@]+"${flags[@]}"} >"$work/out" </dev/null &
pid=$!
set +m
trap 'kill -INT "$pid" 2>/dev/null || true' INT TERM HUP

# What it says ends with how to end it; the pages' addresses are in it.
exec 3<"$work/out"
urls=() ready=false
while IFS= read -r -t 30 line <&3; do
    $check || printf '%s\n' "$line"
    if [[ $line =~ ^\ +curl\ (-g\ )?(http://[^ ]*)$ ]]; then
        urls+=("${BASH_REMATCH[2]}")
    fi
    case $line in Ctrl-C*) ready=true && break ;; esac
done
if ! $ready; then
    if kill -0 "$pid" 2>/dev/null; then
        die "tunstack demo was not ready in 30 seconds"
    fi
    # It has said why.
    status=0
    wait "$pid" || status=$?
    pid=
    exit "$((status == 0 ? 1 : status))"
fi

families=
for url in "${urls[@]}"; do
    printf '\n$ curl -i -g %s\n' "$url"
    status=$(curl --noproxy '*' -sS -i -g --max-time 10 -o "$work/page" -w '%{http_code}' "$url") ||
        die "curl could not fetch $url"
    [ "$status" = 200 ] || die "$url was answered with status $status"
    grep -qi '^content-length: *[1-9]' "$work/page" || die "$url: an empty page"
    sed -n '1,/^\r*$/p' "$work/page"
    $check || { sed -n '/<h1/,$p' "$work/page" | head -n 12 && printf '…\n'; }
    case $url in
    *\[*) families+=6 ;;
    *) families+=4 ;;
    esac
done
if $ipv6 && [ "$families" != 46 ] || ! $ipv6 && [ "$families" != 4 ]; then
    die "pages over IPv$families only"
fi

if ! $check; then
    printf '\nThe server runs on. Ctrl-C ends it.\n'
    cat <&3 &
    status=0
    # A trap ends the wait, not the server.
    while kill -0 "$pid" 2>/dev/null; do
        wait "$pid" && status=0 || status=$?
    done
    pid=
    exit "$status"
fi

kill -INT "$pid"
( # Bounded: connections that do not end are reset after five seconds.
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || exit 0
        sleep 0.1
    done
    kill -KILL "$pid"
) &
status=0
wait "$pid" || status=$?
ended=$pid pid=
[ "$status" -eq 0 ] || die "the server ended with exit code $status"
! kill -0 "$ended" 2>/dev/null || die "process $ended is still there"
if ! $before && ip link show dev "$device" >/dev/null 2>&1; then
    die "$device is still there"
fi
if $ipv6; then what="IPv4 and IPv6"; else what="IPv4"; fi
printf '\nchecked: 200 over %s, %s, process %d gone\n' "$what" \
    "$($before && echo "$device left as it was" || echo "$device removed")" "$ended"

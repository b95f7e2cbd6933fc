# shellcheck shell=bash
# What the scripts of this folder have in common. Not to be run: `. setup/lib.sh`.

# One line on standard error, and the end.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

note() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# Prints the comment at the head of the calling script: its help.
help() {
    sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Whether what $1 names is there. Most names are commands.
present() {
    case $1 in
    # A C compiler without the headers of the C library compiles nothing.
    cc) have cc && printf '#include <stdio.h>\n' | cc -E -o /dev/null - 2>/dev/null ;;
    # Other netcats have no -N.
    nc) have nc && nc -h 2>&1 | grep -q OpenBSD ;;
    ip) have ip || [ -x /usr/sbin/ip ] ;;
    *) have "$1" ;;
    esac
}

# The Debian packages in which it is.
packages_of() {
    case $1 in
    cc) echo gcc libc6-dev ;;
    curl) echo curl ca-certificates ;;
    dig) echo bind9-dnsutils ;;
    ip) echo iproute2 ;;
    nc) echo netcat-openbsd ;;
    ping) echo iputils-ping ;;
    dot) echo graphviz ;;
    setcap | capsh) echo libcap2-bin ;;
    unshare | setpriv) echo util-linux ;;
    *) echo "$1" ;;
    esac
}

# Installs those of the named tools that are missing.
need() {
    local tool missing=()
    for tool in "$@"; do
        # shellcheck disable=SC2207 # package names are single words
        present "$tool" || missing+=($(packages_of "$tool"))
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "missing: ${missing[*]} (Debian's names): install them with your system's package manager"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        root=(sudo)
        sudo_works || die "missing: type: sudo apt-get install ${missing[*]}"
    fi
    note "installing ${missing[*]}"
    local install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends)
    local log
    log=$(mktemp)
    # The lists of a fresh machine are empty, those of an old one lead nowhere.
    if ! "${install[@]}" "${missing[@]}" >"$log" 2>&1 </dev/null; then
        "${root[@]}" apt-get update -q >>"$log" 2>&1 </dev/null || true
        if ! "${install[@]}" "${missing[@]}" >>"$log" 2>&1 </dev/null; then
            tail -n 5 "$log" >&2
            rm -f "$log"
            die "apt-get could not install ${missing[*]}: install them by hand and start again"
        fi
    fi
    rm -f "$log"
    for tool in "$@"; do
        present "$tool" || die "$tool is still missing after installing ${missing[*]}"
    done
}

# Whether sudo can be had: without a question where nobody sits to answer it.
sudo_works() {
    have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }
}

# Puts cargo into PATH: root's own, or under sudo that of the user behind it.
need_cargo() {
    local home
    if ! have cargo; then
        home=$HOME
        if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ]; then
            home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
        fi
        if [ -x "$home/.cargo/bin/cargo" ]; then
            PATH=$home/.cargo/bin:$PATH
            export PATH
            # Rust's launcher looks for its toolchains beside itself.
            export CARGO_HOME=${CARGO_HOME:-$home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
        fi
    fi
    have cargo || die "no Rust: type: curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env"
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$TOP/Cargo.toml")
    found=$(cd "$TOP" && cargo --version) || die "cargo does not run: type: rustup default stable"
    found=${found#cargo }
    found=${found%% *}
    printf '%s\n%s\n' "$wanted" "$found" | sort -C -V ||
        die "Rust $found is too old, $wanted is the least: type: rustup update stable"
}

# Runs cargo in the top folder; under sudo as the user behind it, to whom what it makes shall belong.
cargo_as_user() {
    if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ] && have runuser; then
        (cd "$TOP" && runuser -u "$SUDO_USER" -- env PATH="$PATH" cargo "$@")
    else
        (cd "$TOP" && cargo "$@")
    fi
}

# Builds the program; its place is then $TUNSTACK.
build() {
    need cc
    need_cargo
    note "building (the first time takes some minutes)"
    cargo_as_user build --release --features cli --quiet || die "it does not build: see above"
    # shellcheck disable=SC2034 # for the scripts that read this file
    TUNSTACK=$(target_folder)/release/tunstack
}

target_folder() {
    case ${CARGO_TARGET_DIR:-} in
    "") echo "$TOP/target" ;;
    /*) echo "$CARGO_TARGET_DIR" ;;
    *) echo "$TOP/$CARGO_TARGET_DIR" ;;
    esac
}

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian keeps ip and setcap where a plain user does not look.
PATH=$PATH:/usr/sbin:/sbin

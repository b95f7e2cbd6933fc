#!/usr/bin/env bash
# setup/caps.sh [--remove]
#
# Lets every user of this machine run target/release/tunstack without root: gives the file the capability
# cap_net_admin, which making a TUN device needs. It lasts until the program is built anew. Whoever can run
# the file can then make and address devices with it; setup/tun.sh gives less away.
#
#   --remove   takes the capability away again
#
# Needs root, or sudo, and a file system without nosuid.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "$0")/lib.sh"

root=()
as_root() {
    [ "$(id -u)" -eq 0 ] && return
    sudo_works || die "this needs root: type: sudo setup/caps.sh $*"
    root=(sudo --)
}

case ${1:-} in
-h | --help) help ;;
--remove)
    need setcap
    as_root --remove
    file=$(target_folder)/release/tunstack
    [ -e "$file" ] || die "there is no $file"
    "${root[@]}" setcap -r "$file" || die "setcap could not change $file"
    note "$file has no capabilities any more"
    ;;
"")
    need setcap
    build
    as_root
    "${root[@]}" setcap cap_net_admin+ep "$TUNSTACK" ||
        die "setcap could not change $TUNSTACK: does its file system know capabilities?"
    note "$(getcap "$TUNSTACK")"
    case $(stat -c %a /dev/net/tun) in
    *[67]) ;;
    *) note "only root may open /dev/net/tun here: type: chmod 666 /dev/net/tun" ;;
    esac
    ;;
*) die "unknown argument $1: see setup/caps.sh --help" ;;
esac

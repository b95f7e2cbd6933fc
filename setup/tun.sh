#!/usr/bin/env bash
# setup/tun.sh up [--user NAME] | down | show   [--dev NAME and other flags of tunstack up]
#
# A TUN device that stays, for a user who then runs tunstack without root:
#
#   setup/tun.sh up            makes tun0 for the user who calls, or who called sudo
#   setup/demo.sh              needs no root from now on
#   setup/tun.sh down          removes it
#   setup/tun.sh show          prints the host's TUN devices
#
# up and down need root, or sudo.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "$0")/lib.sh"

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
-h | --help) help ;;
show)
    need ip
    ip -brief address show type tun
    ;;
up | down)
    build
    if [ "$(id -u)" -eq 0 ]; then
        # Whom root makes it for, root has to say.
        exec "$TUNSTACK" "$command" "$@"
    fi
    sudo_works || die "this needs root: type: sudo setup/tun.sh $command $*"
    exec sudo -- "$TUNSTACK" "$command" "$@"
    ;;
*) die "up, down or show: see setup/tun.sh --help" ;;
esac

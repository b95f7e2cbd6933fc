#!/usr/bin/env bash
# setup/netns.sh up | down | near COMMAND… | far COMMAND…
#
# Two network namespaces of their own, so that one can try everything without touching the host's network:
#
#          far                          near
#   kernel 10.8.0.2 ─── veth ─── 10.8.0.1 kernel 10.7.0.1 ─── tun0 ─── 10.7.0.2 the stack
#          fd08::2               fd08::1  router fd07::1                fd07::2
#
#   setup/netns.sh up                       makes them
#   setup/netns.sh near setup/demo.sh       starts the stack, which makes tun0 in the near one
#   setup/netns.sh far ping 10.7.0.2        asks it from beyond a router
#   setup/netns.sh down                     removes them
#
# Needs root.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "$0")/lib.sh"

near=tunstack-near far=tunstack-far

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
-h | --help) help && exit 0 ;;
up | down | near | far) ;;
*) die "up, down, near or far: see setup/netns.sh --help" ;;
esac
need ip
[ "$(id -u)" -eq 0 ] || die "namespaces need root: type: sudo setup/netns.sh $command $*"

exists() {
    [ -e "/run/netns/$1" ]
}

down() {
    local name
    for name in "$near" "$far"; do
        ! exists "$name" || ip netns delete "$name"
    done
}

up() {
    ip netns add "$near"
    ip netns add "$far"
    ip -n "$near" link add far0 type veth peer name near0 netns "$far"
    local name
    for name in "$near" "$far"; do
        ip -n "$name" link set lo up
        # No waiting for addresses that nobody else can have.
        ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.all.accept_dad=0 \
            net.ipv6.conf.default.accept_dad=0
    done
    ip -n "$near" address add 10.8.0.1/24 dev far0
    ip -n "$near" address add fd08::1/64 dev far0 nodad
    ip -n "$near" link set far0 up
    ip -n "$far" address add 10.8.0.2/24 dev near0
    ip -n "$far" address add fd08::2/64 dev near0 nodad
    ip -n "$far" link set near0 up
    ip -n "$far" route add default via 10.8.0.1
    ip -n "$far" -6 route add default via fd08::1
    ip netns exec "$near" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

case $command in
down) down ;;
up)
    if exists "$near" || exists "$far"; then
        die "they are there already: type: setup/netns.sh down"
    fi
    need sysctl
    # All or nothing.
    (set -e && up) || { down && die "the namespaces could not be made: see above"; }
    ;;
near | far)
    name=${!command}
    exists "$name" || die "there is no namespace $name: type: setup/netns.sh up"
    [ $# -gt 0 ] || set -- "${SHELL:-/bin/sh}"
    exec ip netns exec "$name" "$@"
    ;;
esac

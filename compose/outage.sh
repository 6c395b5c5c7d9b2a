#!/bin/sh
# The outage, step by step: a control plane goes away, its gateway is restarted meanwhile, and serves all the same.
#
#   compose/outage.sh
#
# What it does is here; how it is done is in the file that OUTAGE_WITH names, which defines these verbs:
#
#   request PATH         print the status with which the gateway answers
#   put_route ID PATH    let the control plane add a route
#   stop_control_plane   and its etcd
#   start_control_plane
#   restart_node         restart the gateway alone
#   runs_on              print what the gateway runs on by the agent's word: etcd or standalone
#
# OUTAGE_WITH is compose/outage/docker.sh if it isn't set. No step may take longer than OUTAGE_PATIENCE_S, 120 at first.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=compose/outage/docker.sh
. "${OUTAGE_WITH:-$here/outage/docker.sh}"
patience=${OUTAGE_PATIENCE_S:-120}

step() {
  printf '%s\n' "$*"
}

# until_it_is EXPECTED VERB...: wait until the verb prints what is expected.
until_it_is() {
  expected=$1
  shift
  deadline=$(($(date +%s) + patience))
  while found=$("$@" || true) && [ "$found" != "$expected" ]; do
    if [ "$(date +%s)" -ge "$deadline" ]; then
      printf 'FAILED: "%s" says "%s", not "%s", after %s s\n' "$*" "$found" "$expected" "$patience" >&2
      exit 1
    fi
    sleep 0.2
  done
}

# it_is EXPECTED VERB...: the verb must print that at once.
it_is() {
  found=$(shift && "$@" || true)
  if [ "$found" != "$1" ]; then
    expected=$1
    shift
    printf 'FAILED: "%s" says "%s", not "%s"\n' "$*" "$found" "$expected" >&2
    exit 1
  fi
}

step "1. A route is added. The gateway follows its control plane: the request works."
put_route before /before
until_it_is 200 request /before
until_it_is etcd runs_on

step "2. The control plane is stopped. The gateway serves from its memory: the request works."
stop_control_plane
it_is 200 request /before

step "3. The agent turns the gateway to its file, and the request works."
until_it_is standalone runs_on
it_is 200 request /before

step "4. The gateway is restarted, with no control plane to ask. The request works."
restart_node
until_it_is 200 request /before
until_it_is standalone runs_on

step "5. The control plane comes back. The agent turns the gateway back, and the request works."
start_control_plane
until_it_is etcd runs_on
it_is 200 request /before

step "6. Another route is added. The gateway follows its control plane again: both requests work."
put_route after /after
until_it_is 200 request /after
it_is 200 request /before

step "The gateway has outlived its control plane."

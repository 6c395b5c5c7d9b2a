#!/bin/sh
# Runs the agent in a gateway's pod, and again whenever it ends.
#
#   agent.sh ARGUMENTS...     of replicator, such as agent.sh -c /etc/replicator/agent.yaml agent
#
# A container that ends, or that waits for its next start, makes its whole pod unready, and a gateway that serves
# well would get no more requests because of its agent. So this container goes on whatever the agent does.

set -u
child=
stopped=

stop() {
  stopped=yes
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}

# run COMMAND...: to its end, which a signal to us hastens but doesn't keep us from awaiting.
run() {
  "$@" &
  child=$!
  [ -z "$stopped" ] || stop # the signal came before there was a child
  wait "$child"
  wait "$child" 2>/dev/null
  child=
}

trap stop TERM INT
while [ -z "$stopped" ]; do
  run replicator "$@"
  [ -n "$stopped" ] || run sleep "${AGENT_PAUSE_S:-5}"
done
exit 0

#!/bin/sh
# Runs the agent in a gateway's pod, and again whenever it ends.
#
#   agent.sh ARGUMENTS...     of replicator, such as agent.sh -c /etc/replicator/agent.yaml agent
#
# A container that ends, or that waits for its next start, makes its whole pod unready, and a gateway that serves
# well would get no more requests because of its agent. So this container goes on whatever the agent does.

set -eu
agent=
stopped=

stop() {
  stopped=yes
  [ -z "$agent" ] || kill -TERM "$agent" 2>/dev/null || true
}

trap stop TERM INT
while [ -z "$stopped" ]; do
  replicator "$@" &
  agent=$!
  # A signal interrupts `wait`; the agent's own end is awaited all the same.
  wait "$agent" || true
  wait "$agent" 2>/dev/null || true
  [ -n "$stopped" ] || sleep "${AGENT_PAUSE_S:-5}" &
  wait $! || true
done

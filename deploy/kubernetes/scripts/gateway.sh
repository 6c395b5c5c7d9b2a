#!/bin/sh
# The entrypoint of a gateway's container that has an agent beside it, in a container of its own.
#
#   gateway.sh COMMAND...     such as gateway.sh /docker-entrypoint.sh docker-start
#
# An agent in another container can't call `apisix reload`: it has neither this container's programs nor its
# processes. So it puts a request into a folder that both have (RELOAD_FOLDER), and a loop here answers it by the
# real `apisix reload`, which tries the configuration first and tells by its exit code and words what is wrong.
# See reload.sh for the other side. When the gateway ends, the container ends, and the loop with it.

set -eu
folder=${RELOAD_FOLDER:-/usr/local/apisix/conf}

answer_requests() {
  while sleep "${RELOAD_POLL_S:-1}"; do
    # Whoever renames the request has it: it isn't withdrawn any more.
    mv "$folder/reload.request" "$folder/reload.taken" 2>/dev/null || continue
    code=0
    said=$(apisix reload 2>&1) || code=$?
    printf '%s %s\n%s\n' "$(cat "$folder/reload.taken")" "$code" "$said" >"$folder/reload.answer.new"
    mv "$folder/reload.answer.new" "$folder/reload.answer"
    rm -f "$folder/reload.taken"
  done
}

rm -f "$folder/reload.taken" # of a container that has died amid it
answer_requests &
exec "$@"

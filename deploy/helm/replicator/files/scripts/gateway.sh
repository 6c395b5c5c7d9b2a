#!/bin/sh
# The entrypoint of a gateway's container that has an agent beside it, in a container of its own.
#
#   gateway.sh COMMAND...     such as gateway.sh /docker-entrypoint.sh docker-start
#
# An agent in another container can't reload a gateway: it has neither this container's programs nor its processes.
# So it puts a request into a folder that both have (RELOAD_FOLDER), and a loop here answers it. See reload.sh for
# the other side. When the gateway ends, the loop does so too.

set -u
home=${APISIX_PREFIX:-/usr/local/apisix}
folder=${RELOAD_FOLDER:-$home/conf}
pause=${RELOAD_POLL_S:-1}

# Take the request, if there is one. Whoever renames it has it: it isn't withdrawn any more.
take() {
  mv "$folder/reload.request" "$folder/reload.taken" 2>/dev/null || return 1
  read -r id deadline <"$folder/reload.taken"
}

# Tell whether nobody waits for the answer any more.
is_late() {
  [ "$(date +%s)" -ge "$deadline" ]
}

# answer CODE WORDS
answer() {
  printf '%s %s\n%s\n' "$id" "$1" "$2" >"$folder/reload.answer.new"
  mv "$folder/reload.answer.new" "$folder/reload.answer"
  rm -f "$folder/reload.taken"
}

# What `apisix reload` does, step by step: that ends with 0 even if nothing was reloaded. A gateway that is about to
# start is awaited; one that nobody waits for stays as it is, since config.yaml may hold something else by now.
reload() {
  apisix init && openresty -p "$home" -t -q || return 1
  until [ -s "$home/logs/nginx.pid" ] || is_late; do sleep "$pause"; done
  if is_late; then
    echo "the gateway didn't come to it in time: nothing was reloaded"
    return 1
  fi
  openresty -p "$home" -s reload
}

answer_requests() {
  while sleep "$pause" && kill -0 "$$" 2>/dev/null; do
    take || continue
    said=$(reload 2>&1)
    answer $? "$said"
  done
}

# What the image's own start does before it starts the gateway.
rehearse() {
  apisix init && apisix init_etcd
}

# Wait until the gateway can start. Where no etcd answers, the image's own start ends, and Kubernetes lets more and
# more time pass before the next one; so it is tried here, until etcd is back or the agent has put the standalone
# config.yaml in its place. For the agent's request such a trial is the answer: what starts reads config.yaml.
await_start() {
  told=
  while :; do
    is_asked=
    take && is_asked=yes
    said=$(rehearse 2>&1)
    code=$?
    [ -z "$is_asked" ] || answer "$code" "$said"
    [ "$code" -ne 0 ] || return 0
    [ "$said" = "$told" ] || printf '%s\n' "$said" >&2
    told=$said
    sleep "$pause"
  done
}

rm -f "$folder/reload.taken" "$home/logs/nginx.pid" # of a container that has died
trap 'exit 0' TERM QUIT INT                         # by the gateway's own rules as soon as it has started
await_start
answer_requests &
exec "$@"

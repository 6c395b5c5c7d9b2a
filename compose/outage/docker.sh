# The verbs of compose/outage.sh for the services of compose/outage/compose.yaml.
# shellcheck shell=sh

compose() {
  # shellcheck disable=SC2154 # outage.sh has set it
  docker compose -f "$here/outage/compose.yaml" "$@"
}

request() {
  curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "http://127.0.0.1:9080$1"
}

# The key goes by way of stdin: what stands in a process's arguments, everybody on the machine can read.
put_route() {
  printf 'X-API-KEY: %s\n' "$APISIX_ADMIN_KEY" |
    curl --silent --show-error --fail --output /dev/null --retry 30 --retry-all-errors --retry-delay 1 \
    "http://127.0.0.1:9180/apisix/admin/routes/$1" -X PUT -H @- \
    -d "{\"uri\": \"$2\", \"plugins\": {\"mocking\": {\"response_status\": 200, \"response_example\": \"$1\"}},
         \"upstream\": {\"nodes\": {\"127.0.0.1:1\": 1}}}"
}

stop_control_plane() {
  compose stop control-plane etcd >&2
}

start_control_plane() {
  compose start etcd control-plane >&2
}

restart_node() {
  compose restart gateway >&2
}

# What it is being turned to doesn't count before it is: nothing is printed then.
told_mode='
import json, sys
told = json.loads(sys.stdin.read() or "{}").get("switch") or {}
print("" if told.get("to") else told.get("mode", ""))'

runs_on() {
  # shellcheck disable=SC2016 # "$1" is for the shell in the container
  compose exec -T agent sh -c \
    'replicator -c /etc/replicator/agent.yaml agent status --json | python -c "$1"' sh "$told_mode"
}

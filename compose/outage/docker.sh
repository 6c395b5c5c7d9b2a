# The verbs of compose/outage.sh for the services of compose/outage/compose.yaml.
# shellcheck shell=sh

compose() {
  docker compose -f "$here/outage/compose.yaml" "$@"
}

request() {
  curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "http://127.0.0.1:9080$1"
}

put_route() {
  curl --silent --show-error --fail --output /dev/null --retry 30 --retry-all-errors --retry-delay 1 \
    "http://127.0.0.1:9180/apisix/admin/routes/$1" -X PUT -H "X-API-KEY: $APISIX_ADMIN_KEY" \
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

runs_on() {
  compose exec -T agent replicator -c /etc/replicator/agent.yaml agent status --json |
    sed -n 's/.*"mode": *"\([a-z]*\)".*/\1/p'
}

#!/bin/sh
# agent.reload for a gateway in another container, which runs gateway.sh.
#
#   reload.sh FOLDER SECONDS
#
# Ends as the gateway's reload ends, with its words. If nobody has taken the request after SECONDS, it is
# withdrawn: a reload must not come later, when config.yaml holds something else. Let agent.reload_timeout be longer.

set -eu
folder=$1
patience=$2
id="$$.$(date +%s%N)"
deadline=$(($(date +%s) + patience))

printf '%s %s\n' "$id" "$deadline" >"$folder/reload.request.new"
mv "$folder/reload.request.new" "$folder/reload.request"

while :; do
  if [ -f "$folder/reload.answer" ] && read -r answered code <"$folder/reload.answer" && [ "$answered" = "$id" ]; then
    tail -n +2 "$folder/reload.answer"
    exit "$code"
  fi
  if [ "$(date +%s)" -ge "$deadline" ]; then
    rm "$folder/reload.request" 2>/dev/null || { echo "the gateway's reload takes longer than $patience s"; exit 1; }
    echo "the gateway's container hasn't taken the request within $patience s: does it run gateway.sh?"
    exit 1
  fi
  sleep 0.2
done

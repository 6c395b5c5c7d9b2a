#!/bin/sh
# Fills the folder that a gateway and its agent share, in the place of the image's own, which it will hide.
#
#   conf.sh IMAGE_CONF CONFIG_YAML FOLDER
#
# config.yaml is a copy, since the agent must be able to replace it, and a ConfigMap is read-only. apisix.yaml is left
# out: the image's has nothing in it, and the agent's must stay when a pod is set up again, as after a node's restart.

set -eu
for path in "$1"/*; do
  [ "${path##*/}" = apisix.yaml ] || cp -R "$path" "$3/"
done
cp "$2" "$3/config.yaml"

"""A settings file that names each setting there is."""

from __future__ import annotations

EVERYTHING = """\
etcd:
  endpoints: [https://a:2379, "https://b:2379/"]
  prefix: /gateway/
  username: root
  password: ${ETCD_PASSWORD}
  cacert: ca.pem
  cert: cert.pem
  key: key.pem
archive: s3://bucket/path
s3:
  endpoint: https://s3.example.com:9000
  region: eu-central-1
  use_path_style: true
  access_key: AKIA
  secret_key: 0123
  sse_kms_key_id:
encryption:
  key_file: keys.txt
  kms_key_id: alias/archive
  kms_old_key_ids: [alias/old]
  kms_endpoint: https://kms.example.com/
  allow_plaintext: true
capture: {flush_interval: 0, flush_bytes: 512KiB, spool: /spool, spool_max_bytes: 1GB, lease: 10s}
snapshot: {cron_spec: "@every 1h30m", latest: true, latest_plaintext: true}
metrics: {listen: "[::1]:9465", heartbeat: "https://beat.example/c0ffee"}
retention: {full: 30d, daily: 1y}
apisix:
  version: 3.10
  keyring:
    - 0123456789abcdef
    - $${not a variable}
  plugins: [cors, key-auth]
  stream_plugins: []
  schema: none
  encrypt_fields:
    my-plugin: {schema: [secret, auth.token]}
    key-auth: {}
instance:
  files: [/conf/config.yaml, /conf/debug.yaml]
  archive: s3://config-bucket/path
agent:
  home: /agent
  config_file: /conf/config.yaml
  resource_file: /conf/apisix.json
  follow_interval: 500ms
  probe_interval: 1s
  failover_after: 10s
  failback_after: 20s
  hold_down: 2m
  reload: [docker, exec, gateway, apisix, reload]
  reload_timeout: 5s
  ready: http://127.0.0.1:7085/status/ready
  ready_timeout: 7s
  wipe_guard: 12.5%
  wipe_guard_after: 1h
  max_age: 3h
  when_stale: refuse
  push: http://127.0.0.1:9180
  push_key: admin
"""

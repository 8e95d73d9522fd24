#!/usr/bin/env bash
# Startup script of the instance template. Its parameters are the instance's own metadata, set by template.sh; the
# broker's address comes from the secret manager with the machine's own identity.
set -euo pipefail

# The share, a package mirror or a right may not be there yet when the machine starts: the script is kept, and tried by a
# unit until it works.
if [[ ${1:-} != start ]]; then
  install -m 0755 "${BASH_SOURCE[0]}" /usr/local/sbin/segue-start
  cat >/etc/systemd/system/segue-start.service <<'UNIT'
[Unit]
Description=Makes this machine a Segue worker
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/segue-start start
Restart=on-failure
RestartSec=15
UNIT
  systemctl daemon-reload
  exec systemctl restart --no-block segue-start.service
fi

metadata() {
  curl --silent --fail --retry 10 --retry-all-errors -H "Metadata-Flavor: Google" \
    "http://metadata.google.internal/computeMetadata/v1/$1"
}

share=$(metadata instance/attributes/segue-share)
release=$(metadata instance/attributes/segue-release)
project=$(metadata project/project-id)

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq nfs-common python3-venv jq

mkdir -p /srv/segue
if ! mountpoint --quiet /srv/segue; then
  # Filestore's basic tiers speak NFS 3 only; zonal and regional ones 4.1 as well.
  version=$(metadata instance/attributes/segue-nfs-version || echo 3)
  mount -t nfs -o "vers=$version,proto=tcp,hard,noatime,lookupcache=positive,acdirmin=1,acdirmax=2" "$share" /srv/segue
fi

install -d -m 0755 /etc/segue
cat >/etc/segue/worker.env <<EOF
# Engine settings as where jobs are submitted (segue settings); one KEY=value a line.
SEGUE_TRANSCRIBER=faster-whisper
SEGUE_TRANSCRIBER_MODEL=large-v3
SEGUE_TRANSCRIBER_COMPUTE_TYPE=int8_float16
EOF

token=$(metadata instance/service-accounts/default/token | jq -r .access_token)
(
  umask 077
  curl --silent --fail --retry 5 --retry-all-errors -H "Authorization: Bearer $token" \
    "https://secretmanager.googleapis.com/v1/projects/$project/secrets/segue-broker-url/versions/latest:access" \
    | jq -r .payload.data | base64 --decode >/etc/segue/broker-url
)

# At preemption the machine is shut down as by its power button: systemd stops the worker, which has 22 s (gcp.conf).
exec "$release/bootstrap.sh" gcp

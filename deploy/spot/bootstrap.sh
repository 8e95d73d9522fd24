#!/usr/bin/env bash
# Turns a fresh GPU machine into a Segue worker. Run as root, from the release folder on the mounted shared disk:
#   /srv/segue/release/2026-11-21/bootstrap.sh azure
# Before it: the shared disk is mounted at /srv/segue, /etc/segue/worker.env and /etc/segue/broker-url are written
# (the cloud's own start-up file does that), and the image has the NVIDIA driver and the Python that the release was made
# for, with venv. Everything that is installed comes from the release: no package index is asked.
# Running it twice changes nothing.
set -euo pipefail

cloud=${1:-}
case $cloud in
  azure | aws | gcp) ;;
  *)
    echo "usage: $0 azure|aws|gcp" >&2
    exit 2
    ;;
esac
release=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if ! mountpoint --quiet /srv/segue; then
  echo "bootstrap: /srv/segue is not a mount; without the shared disk there is nothing to work on" >&2
  exit 1
fi
for file in /etc/segue/worker.env /etc/segue/broker-url; do
  if [[ ! -s $file ]]; then
    echo "bootstrap: $file is missing or empty" >&2
    exit 1
  fi
done

# The same number on every machine, or they cannot write each other's folders on NFS. The images use it too.
getent group segue >/dev/null || groupadd --gid 10001 segue
id -u segue >/dev/null 2>&1 \
  || useradd --uid 10001 --gid segue --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin segue
# The unit's credential is read by systemd as root; nobody else may.
chown root:root /etc/segue/broker-url
chmod 0600 /etc/segue/broker-url
# cuda-cache: kernels that the driver compiles on newer cards. On the share, since this machine's own disk goes with it.
for folder in /srv/segue/home /srv/segue/models /srv/segue/models/cuda-cache; do
  # A share that squashes root lets nobody but their owner make them: there they are made once, by hand, for 10001:10001.
  [[ -d $folder ]] || install -d -o segue -g segue -m 0770 "$folder"
done

if [[ "$(cat /opt/segue/.release 2>/dev/null || true)" != "$release" ]]; then
  (cd "$release" && sha256sum --check --quiet --strict SHA256SUMS)
  rm -rf /opt/segue
  python3 -m venv /opt/segue
  /opt/segue/bin/python -m pip install --quiet --disable-pip-version-check --no-index --find-links "$release/wheels" \
    --require-hashes --no-deps --requirement "$release/requirements-node.lock"
  # A model that came with the release is read from this machine's own disk, and nothing is downloaded any more.
  rm -rf /var/lib/segue/hub
  : >/etc/segue/models.env
  if [[ -d $release/hub ]]; then
    install -d -m 0755 /var/lib/segue
    cp --recursive --no-dereference "$release/hub" /var/lib/segue/hub
    printf '%s\n' HF_HOME=/var/lib/segue/hub SEGUE_OFFLINE=true >/etc/segue/models.env
  fi
  # Written last: an installation that was interrupted is made again.
  echo "$release" >/opt/segue/.release
fi

install -m 0644 "$release/segue-worker@.service" /etc/systemd/system/segue-worker@.service
install -d -m 0755 /etc/systemd/system/segue-worker@.service.d
install -m 0644 "$release/$cloud.conf" /etc/systemd/system/segue-worker@.service.d/notice.conf
systemctl daemon-reload

gpus=$(nvidia-smi --list-gpus | wc -l)
if [[ $gpus -eq 0 ]]; then
  echo "bootstrap: the NVIDIA driver sees no GPU" >&2
  exit 1
fi
for ((gpu = 0; gpu < gpus; gpu++)); do
  systemctl enable --now "segue-worker@$gpu.service"
done
echo "bootstrap: $gpus worker(s) started from $release"

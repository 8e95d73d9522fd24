#!/usr/bin/env bash
# Puts everything that a bare node needs on the shared disk, once a release:
#   deploy/spot/release.sh /mnt/share/release/2026-11-21
# Nodes install from there: no registry of images, and no repository on the node. It holds the files as they lie in the
# working tree, without what git ignores.
set -euo pipefail

if [[ $# -ne 1 ]]; then
  echo "usage: $0 FOLDER" >&2
  exit 2
fi
target=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-"$root/.venv/bin/python"}

if [[ ! -x $python ]]; then
  echo "release.sh: $python is not there; run make setup, or name a Python with PYTHON=" >&2
  exit 1
fi
if [[ -e $target ]]; then
  echo "release.sh: $target exists already; a release is never changed, choose a new name" >&2
  exit 1
fi

# Under another name until it is whole, so that no node installs half of it.
partial=$target.partial
rm -rf "$partial"
mkdir -p "$partial"
# Built from a clean copy: setuptools packs whatever an earlier build has left in build/.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
(cd "$root" && git ls-files -z --cached --others --exclude-standard --deduplicate \
  -- pyproject.toml README.md LICENSE '*.py' '*.json' '*.npz' ':!tests' ':!bench' ':!demo' \
  | tar --create --null --files-from - | tar --extract --directory "$copy")
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$partial" "$copy"
cp "$root/deploy/images/requirements-runtime.lock" "$root/deploy/images/requirements-cuda.lock" "$partial/"
cp "$root/deploy/spot/bootstrap.sh" "$root/deploy/spot/segue-worker@.service" "$partial/"
for cloud in azure aws gcp; do
  cp "$root/deploy/spot/$cloud/notice.conf" "$partial/$cloud.conf"
done
mv "$partial" "$target"
echo "release.sh: $target"
ls -1 "$target"

#!/usr/bin/env bash
# Puts everything that a bare node needs on the shared disk, once a release:
#   deploy/spot/release.sh /mnt/share/release/2026-11-21
# Nodes install from there: no registry of images, no package index, and no repository on the node. It holds the files as
# they lie in the working tree, without what git ignores, the wheels of everything that is locked (0.9 GB), and the sums
# of it all. Only here an index is needed.
#   PYTHON=...            the Python that builds (default: .venv's)
#   NODE_PYTHON=3.12      the version that nodes have
#   MODEL=large-v3        puts the model's files in as well (large-v3: 3.1 GB): nodes copy them and download nothing
set -euo pipefail

if [[ $# -ne 1 ]]; then
  echo "usage: $0 FOLDER" >&2
  exit 2
fi
target=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-"$root/.venv/bin/python"}
node_python=${NODE_PYTHON:-3.12}

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
mkdir -p "$partial/wheels"
# Built from a clean copy: setuptools packs whatever an earlier build has left in build/.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
(cd "$root" && git ls-files -z --cached --others --exclude-standard --deduplicate \
  -- pyproject.toml README.md LICENSE '*.py' '*.json' '*.npz' '*.toml' ':!tests' ':!bench' ':!demo' ':!deploy' \
  | tar --create --null --files-from - | tar --extract --directory "$copy")
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
  --wheel-dir "$partial/wheels" "$copy"
wheel=$(basename "$partial"/wheels/segue_localize-*.whl)

"$python" "$root/deploy/spot/node_lock.py" "$node_python" "$root/deploy/images/requirements-runtime.lock" \
  "$root/deploy/images/requirements-cuda.lock" >"$partial/requirements-node.lock"
# Older platforms' names too: pip does not follow from one to the next for a machine that is not its own.
platforms=()
for glibc in 17 24 26 27 28 31 34 35; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
  --implementation cp --python-version "$node_python" --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
  --platform manylinux1_x86_64 "${platforms[@]}" --dest "$partial/wheels" --requirement "$partial/requirements-node.lock"
version=${wheel#segue_localize-}
sum=$(sha256sum "$partial/wheels/$wheel")
echo "segue-localize==${version%%-*} --hash=sha256:${sum%% *}" >>"$partial/requirements-node.lock"

if [[ -n ${MODEL:-} ]]; then
  HF_HOME=$partial/hub PYTHONPATH=$root "$python" -P - "$MODEL" "$partial/models" <<'END'
import sys
from pathlib import Path

from core.errors import SegueError
from engines.models import resolve_whisper
from engines.resources import EngineResources

try:
    resolve_whisper(sys.argv[1], EngineResources(Path(sys.argv[2]), announce=print))
except SegueError as error:
    sys.exit(f"release.sh: {error}")
END
  if [[ ! -d $partial/hub ]]; then
    echo "release.sh: $MODEL is no model of the hub; put its folder on the share and name that in worker.env" >&2
    exit 1
  fi
fi
cp "$root/deploy/spot/bootstrap.sh" "$root/deploy/spot/segue-worker@.service" "$partial/"
for cloud in azure aws gcp; do
  cp "$root/deploy/spot/$cloud/notice.conf" "$partial/$cloud.conf"
done
(cd "$partial" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$copy/sums"
cp "$copy/sums" "$partial/SHA256SUMS"
mv "$partial" "$target"
echo "release.sh: $target, $(du -sh "$target" | cut -f 1), $(find "$target/wheels" -name '*.whl' | wc -l) wheels"

#!/usr/bin/env bash
# Create .venv from a lock and install snpoint into it. Called by `make env`; see envs/README.md.
#   bash envs/install.sh cpu        # or: gpu, workflow (driver only); "cpu dev" adds the test tools
# PYTHON chooses the interpreter. Nothing outside .venv is touched.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
PYTHON=${PYTHON:-python3}

missing=()
command -v git >/dev/null || missing+=("git")
command -v make >/dev/null || missing+=("make")
if ! command -v "$PYTHON" >/dev/null; then
  missing+=("Python >= 3.11 ('$PYTHON' is not a command; choose another with PYTHON=...)")
elif ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
  missing+=("Python 3.11 to 3.13 ('$PYTHON' is $("$PYTHON" -V 2>&1); choose another with PYTHON=...)")
elif ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
  missing+=("Python's venv module")
fi
if [ ${#missing[@]} -gt 0 ]; then
  printf 'snpoint cannot be installed, this is missing:\n' >&2
  printf '  - %s\n' "${missing[@]}" >&2
  printf 'On Debian or Ubuntu: apt-get install git make python3-venv\n' >&2
  exit 69
fi

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
python=.venv/bin/python
# uv resolves nothing here, it only downloads in parallel; without it pip does the same, slower
if ! "$python" -m uv --version >/dev/null 2>&1; then
  "$python" -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || true
fi
install() {
  if "$python" -m uv --version >/dev/null 2>&1; then
    # uv reads neither pip's configuration nor the system's certificates by itself: where it cannot download, pip can
    UV_SYSTEM_CERTS=true "$python" -m uv pip install --quiet --python "$python" "$@" && return
    printf 'uv could not; trying pip ...\n'
  fi
  "$python" -m pip install --quiet --disable-pip-version-check "$@"
}

for lock in "$@"; do
  printf 'installing envs/%s.txt (%s packages) ...\n' "$lock" "$(grep -c '==' "envs/$lock.txt")"
  install --require-hashes -r "envs/$lock.txt"
done
install --no-deps --no-build-isolation -e .

#!/usr/bin/env bash
# Resolve envs/*.in into envs/*.txt: hashes, no URLs, valid for Python 3.11 to 3.13. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
for name in workflow cpu gpu dev; do
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
    --no-annotate "$name.in" -o "$name.txt" "$@"
done

#!/usr/bin/env bash
# Fails if the committed stubs are not those the contracts generate.
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
protos/generate.sh "$fresh"
diff --recursive --brief --exclude=__pycache__ "$fresh/agentmesh" protos/gen/agentmesh ||
  { echo "protos/gen is out of date: run 'make proto' and commit the result" >&2; exit 1; }

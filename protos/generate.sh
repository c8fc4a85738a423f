#!/usr/bin/env bash
# Generates the Python stubs of every contract into the directory given: protos/generate.sh OUT
set -euo pipefail
out=$1
cd "$(dirname "$0")/.."
mapfile -t files < <(cd protos && find agentmesh -name '*.proto' | sort)
rm -rf "${out:?}/agentmesh"
mkdir -p "$out"
python -m grpc_tools.protoc -Iprotos \
  --python_out="$out" --grpc_python_out="$out" \
  --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out" \
  "${files[@]}"
find "$out/agentmesh" -type d -exec touch {}/__init__.py {}/py.typed \;

#!/usr/bin/env bash
# Evaluates every model of every backend on ImageNet, as the 2022 study did, each three times.
# Usage: scripts/eval_all.sh /data/imagenet [options of python -m mlee.sweep] [-- options of infer.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
[ $# -ge 1 ] || { say "usage: scripts/eval_all.sh DATA [options of python -m mlee.sweep] [-- options of infer.py]"; exit 2; }
data="$1"
shift
cd "$ROOT"
exec "$VENV/bin/python" -m mlee.sweep --models all --backends pytorch tensorflow onnx_pytorch onnx_tensorflow \
    --data-path "$data" --repeats 3 --cool-down 10 --output-dir studies/eval_all "$@"

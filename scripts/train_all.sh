#!/usr/bin/env bash
# Trains the models of the 2022 study on ImageNet with its options (mlee/sweep/recipes.py), ten epochs each.
# Usage: scripts/train_all.sh /data/imagenet [options of python -m mlee.sweep] [-- options of train.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
[ $# -ge 1 ] || { say "usage: scripts/train_all.sh DATA [options of python -m mlee.sweep] [-- options of train.py]"; exit 2; }
data="$1"
shift
cd "$ROOT"
exec "$VENV/bin/python" -m mlee.sweep --task training --models all --recipes --backends pytorch tensorflow \
    --data-path "$data" --cool-down 10 --output-dir studies/train_all "$@"

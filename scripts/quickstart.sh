#!/usr/bin/env bash
# From an empty clone to measured results: sets up .venv, lets three real networks classify real photographs while
# the machine's energy is measured (or estimated and marked so), merges the runs and shows the table.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
ensure_environment pytorch
.venv/bin/python infer.py --infer-model EfficientNetLite0 EfficientNetLite1 EfficientNetLite2 \
    --data-path sample --repeats 2 "$@"
echo
.venv/bin/python merge_results.py
echo
say "Experiment folders are in experiments/, merged results in results/. What can be measured here: .venv/bin/python infer.py --check"

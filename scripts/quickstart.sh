#!/usr/bin/env bash
# From an empty clone to rated results: sets up .venv, lets three real networks classify real photographs while the
# machine's energy is measured (or estimated and marked so), merges the runs, rates them and draws an energy label.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
ensure_environment pytorch,label,elex
.venv/bin/python infer.py --infer-model EfficientNetLite0 EfficientNetLite1 EfficientNetLite2 \
    --data-path sample --repeats 2 "$@"
echo
# Exit code 1 says that something was left out and named: a run that was interrupted some other time stops nothing.
.venv/bin/python merge_results.py || [ $? = 1 ]
echo
.venv/bin/python -m mlee.rate experiments || [ $? = 1 ]
.venv/bin/python -m mlee.label_generator --directory experiments --all --output labels || [ $? = 1 ]
echo
say "Experiment folders are in experiments/, merged results in results/, energy labels in labels/."
say "Explore them in a browser: .venv/bin/python elex.py --open"
say "What can be measured here: .venv/bin/python infer.py --check"

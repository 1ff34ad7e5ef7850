#!/usr/bin/env bash
# Runs a model twice with one seed and says whether it computed the same: scripts/test_seeding.sh [options of infer.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
for repeat in 1 2; do
    "$VENV/bin/python" infer.py --idle-seconds 0 "$@" --seed 1 --output-dir "$folder/$repeat" --quiet >/dev/null
done
"$VENV/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

from mlee.experiment import load_result

outcomes = [[load_result(path).outcome for path in sorted(Path(sys.argv[1], repeat).iterdir())] for repeat in "12"]
for first, second in zip(*outcomes, strict=True):
    print("equal" if first == second else "different", first, "" if first == second else second)
sys.exit(outcomes[0] != outcomes[1])
PYTHON

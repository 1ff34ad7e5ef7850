#!/usr/bin/env bash
# Checks everything: format, lint, types, tests. Arguments go to pytest (scripts/test.sh -m "not slow").
# Two processes share the tests, each file whole: more would not leave a CPU to what the tests start. `-n 0`: one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
ensure_environment pytorch,tensorflow,onnx,dev
.venv/bin/ruff format --check --quiet . || { say "run .venv/bin/ruff format ."; exit 1; }
.venv/bin/ruff check --quiet .
.venv/bin/mypy
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"

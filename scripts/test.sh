#!/usr/bin/env bash
# Checks everything: format, lint, types, tests. Arguments go to pytest (scripts/test.sh -m "not slow").
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
ensure_environment pytorch,tensorflow,onnx,dev
.venv/bin/ruff format --check --quiet . || { say "run .venv/bin/ruff format ."; exit 1; }
.venv/bin/ruff check --quiet .
.venv/bin/mypy
.venv/bin/python -m pytest "$@"

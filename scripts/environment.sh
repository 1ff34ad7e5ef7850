# Sourced by the other scripts: makes or reuses the virtual environment .venv in the project's root.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"

say() { if [ -t 2 ]; then printf '\033[1m%s\033[0m\n' "$*" >&2; else printf '%s\n' "$*" >&2; fi; }

# Installs Debian packages when we may, and names the command when we may not.
need_packages() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $* (apt-get)"
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; } \
            >/dev/null || { say "apt-get install $* failed"; exit 1; }
    else
        say "This machine lacks $*. Install it and start again: sudo apt-get install $*"
        exit 1
    fi
}

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

# ensure_environment EXTRAS: .venv holds this project with these extras. Takes seconds when nothing has changed.
ensure_environment() {
    local extras="$1" python stamp
    stamp="$VENV/.installed-$extras-$(sha256sum "$ROOT/pyproject.toml" | cut -c1-16)"
    if [ -e "$stamp" ] && "$VENV/bin/python" -c '' 2>/dev/null; then
        return
    fi
    python="$(find_python)"
    if [ -z "$python" ] || ! "$python" -c 'import ensurepip' 2>/dev/null; then
        need_packages python3 python3-venv
        python="$(find_python)"
        [ -n "$python" ] || { say "Python 3.11, 3.12 or 3.13 is needed."; exit 1; }
    fi
    "$VENV/bin/python" -c '' 2>/dev/null || { say "making .venv with $("$python" --version)"; "$python" -m venv --clear "$VENV"; }
    say "installing mlee with [$extras] into .venv (PyTorch comes with CUDA: about 6 GB on disk, minutes)"
    local quiet=(--quiet)
    [ -t 2 ] && quiet=() # somebody watches: show what is being downloaded
    "$VENV/bin/python" -m pip install "${quiet[@]}" --disable-pip-version-check --editable "$ROOT[$extras]" \
        || { say "The installation failed; see above. Nothing else was changed: start again when it is mended."; exit 1; }
    rm -f "$VENV"/.installed-"$extras"-*
    touch "$stamp"
}

#!/bin/sh
# Create .venv with what `make run` (no argument) or `make test` (argument: dev) needs.
# uv is used when it is there or can be had by pip; plain venv and pip otherwise.
set -eu
cd "$(dirname "$0")/.."
extra=${1:+[$1]}
export UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "$*" >&2; }

python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { say "ZeroGEX needs Python 3.11 or newer; none was found (set PYTHON=/path/to/python3)."; exit 1; }

uv=
if command -v uv >/dev/null 2>&1; then
    uv=uv
elif [ -x .bootstrap/bin/uv ]; then
    uv=.bootstrap/bin/uv
elif "$python" -m pip install --quiet --target .bootstrap uv >/dev/null 2>&1 && .bootstrap/bin/uv --version >/dev/null 2>&1; then
    uv=.bootstrap/bin/uv
fi

say "Installing ZeroGEX into .venv with ${uv:-pip} ($("$python" --version 2>&1)) ..."
if [ -n "$uv" ]; then
    [ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
    "$uv" pip install --quiet --python .venv/bin/python --compile-bytecode --editable ".$extra"
else
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --editable ".$extra"
fi
mkdir -p .venv/ready
touch ".venv/ready/${1:-run}"
[ -z "$extra" ] || touch .venv/ready/run

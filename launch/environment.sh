# Sourced by the scripts beside it: makes .venv, installs the project with the extras in $1, enters it.
# Run again it installs only what has changed. PYTHON names the interpreter (3.11 or newer).
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "$python is older than Python 3.11; set PYTHON to a newer one." >&2
  exit 2
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
for extra in $1; do
  stamp=.venv/installed-$extra
  want=$(cat setup.cfg pyproject.toml | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
    spec=.
    [ "$extra" = core ] || spec=".[$extra]"
    # What is never imported need not be compiled: a third less time.
    .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
      --editable "$spec"
    echo "$want" > "$stamp"
  fi
done
export PATH="$PWD/.venv/bin:$PATH"

#!/usr/bin/env bash
# Sets up .venv and runs the tests in two processes. Arguments go to pytest: `bash launch/test.sh -m slow`.
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" "test"
exec python -m pytest -n 2 "$@"

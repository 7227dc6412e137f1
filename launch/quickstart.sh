#!/usr/bin/env bash
# Pre-trains a small GAIR on a synthetic world and shows what it has learnt: about 6 minutes on
# 2 idle cores, installation included. Run again it reuses what is there.
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" core
# Memory in pages of 2 MB: a step on a CPU asks for its temporaries anew, and took a
# fifth less time when it was measured alone.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}
gair data build synthetic_world --variant tiny
gair train --config=configs/pretrain/quickstart.py --workdir=runs/quickstart "$@"
gair first-look --checkpoint=runs/quickstart

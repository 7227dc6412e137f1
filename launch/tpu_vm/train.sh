#!/usr/bin/env bash
# Pre-trains on one slice of Cloud TPU VMs, from a machine that has gcloud and this checkout:
#
#     export NAME=gair ZONE=us-west4-a TYPE=v5litepod-16 VERSION=v2-alpha-tpuv5-lite
#     export SHARE=10.0.0.2:/gair        # an NFS share (Filestore, say), mounted at /mnt/gair
#     bash launch/tpu_vm/train.sh create --spot
#     bash launch/tpu_vm/train.sh install
#     bash launch/tpu_vm/train.sh run --config=configs/pretrain/gair_base.py \
#         --workdir=/mnt/gair/runs/base --config.data.dir=/mnt/gair/data
#     bash launch/tpu_vm/train.sh delete
#
# create [FLAGS]   makes the slice; FLAGS go to gcloud
# install          mounts SHARE and installs the checkout's last commit on every host
# run ARGUMENTS    `gair train ARGUMENTS` on every host; again, up to RESTARTS (10) times, unless it
#                  ended with 0, 2 or 3. Ctrl-C leaves it running: `stop` ends it, saved
# resume ARGUMENTS after a preemption: makes the slice anew with FLAGS="--spot", installs, runs
# stop | delete    ends the run, saved | gives the slice back
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${NAME:?}" "${ZONE:?}"
mount=/mnt/gair

tpu() {
  local verb=$1
  shift
  gcloud compute tpus tpu-vm "$verb" "$NAME" --zone="$ZONE" "$@"
}

on_all() { tpu ssh --worker=all --command="$1"; }

create() { tpu create --accelerator-type="${TYPE:?}" --version="${VERSION:?}" "$@"; }

# The hosts' own Python is too old: uv brings one.
install() {
  local archive
  archive=$(mktemp --suffix=.tar.gz)
  git archive --format=tar.gz --output="$archive" HEAD
  gcloud compute tpus tpu-vm scp "$archive" "$NAME:gair.tar.gz" --zone="$ZONE" --worker=all
  rm "$archive"
  on_all "set -e
    sudo apt-get update -qq && sudo apt-get install -qq -y nfs-common
    sudo mkdir -p $mount && { mountpoint -q $mount || sudo mount -t nfs ${SHARE:?} $mount; }
    rm -rf gair_jax && mkdir gair_jax && tar xzf gair.tar.gz -C gair_jax
    python3 -m pip install --quiet --user uv
    ~/.local/bin/uv venv --quiet --clear --python 3.12 gair_venv
    ~/.local/bin/uv pip install --quiet --python gair_venv/bin/python --editable 'gair_jax[tpu]'"
}

# What every host does in one round. A unit of systemd outlives the connection, can be one alone,
# and ends with all that it started; the last line tells this script the exit code.
round() {
  local -a hosts
  IFS=';' read -ra hosts <<< "$(tpu describe --format='value(networkEndpoints[].ipAddress)')"
  cat << END
sudo systemctl stop gair 2> /dev/null
rm -f gair.stop
me=\$(curl -sf -H 'Metadata-Flavor: Google' \
  http://metadata.google.internal/computeMetadata/v1/instance/attributes/agent-worker-number)
touch gair.log
tail -q -n 0 -F gair.log &
tail=\$!
sudo systemd-run --unit=gair --collect --wait --quiet --uid="\$(id -un)" \
  --working-directory="\$HOME/gair_jax" -p StandardOutput="append:\$HOME/gair.log" \
  -p StandardError=inherit -p KillMode=mixed -p TimeoutStopSec=120 \
  -p LimitMEMLOCK=infinity -p LimitNOFILE=1048576 \
  -E JAX_COORDINATOR_ADDRESS=${hosts[0]}:8476 -E JAX_NUM_PROCESSES=${#hosts[@]} \
  -E JAX_PROCESS_ID="\$me" -E JAX_COMPILATION_CACHE_DIR=$mount/compiled \
  "\$HOME/gair_venv/bin/gair" train$(printf ' %q' "$@")
code=\$?
sleep 0.5 && kill \$tail
[ ! -e gair.stop ] || code="\$code, as asked"
echo "gair: host \$me ended with \$code"
END
}

run() {
  local command log codes left=${RESTARTS:-10}
  command=$(round "$@")
  log=$(mktemp)
  while true; do
    on_all "$command" 2>&1 | tee "$log" || true
    codes=$(sed -n 's/^.*gair: host [0-9]* ended with \([0-9]*\)$/\1/p' "$log")
    for code in 3 2; do
      if grep -qx "$code" <<< "$codes"; then exit "$code"; fi
    done
    if grep -q 'gair: host .*, as asked$' "$log"; then exit 75; fi
    # A host that could not be reached says nothing.
    if [ -n "$codes" ] && ! grep -qvx 0 <<< "$codes"; then exit 0; fi
    if [ "$left" -le 0 ]; then exit 76; fi
    left=$((left - 1))
    echo "train.sh: the run ended with ${codes//$'\n'/, }; started again, $left restarts left." >&2
    sleep "${PAUSE:-20}"
  done
}

resume() {
  local -a flags
  read -ra flags <<< "${FLAGS:-}"
  if [ "$(tpu describe --format='value(state)')" != READY ]; then
    tpu delete --quiet
    create "${flags[@]}"
    install
  fi
  run "$@"
}

case ${1:-} in
  create | install | run | resume) "$@" ;;
  stop) on_all 'touch gair.stop; sudo systemctl stop gair' ;;
  delete) tpu delete --quiet ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

#!/usr/bin/env bash
# Cancel the jobs that a killed Snakemake left in the queue, and wait until they are gone.
#   profiles/slurm/cancel_orphans.sh [working folder of that Snakemake; default: this one]
# All jobs of yours that a Snakemake with this profile submitted from that folder: be sure that none still runs there.
set -euo pipefail
folder=$(cd "${1:-.}" && pwd -P)

orphans() {
  squeue --me --noheader --format='%i|%j|%Z|%k' | awk -F'|' -v folder="$folder" '$2 ~ /^rlhf_/ && $3 == folder'
}

jobs=$(orphans)
if [ -z "$jobs" ]; then
  echo "no jobs from $folder are in the queue"
  exit 0
fi
awk -F'|' '{print "cancelling job " $1 " (" $4 ")"}' <<< "$jobs"
cut -d'|' -f1 <<< "$jobs" | xargs scancel
for _ in $(seq 120); do
  [ -n "$(orphans)" ] || exit 0
  sleep 1
done
echo "error: after two minutes these jobs are still in the queue; ask squeue why:" >&2
orphans >&2
exit 1

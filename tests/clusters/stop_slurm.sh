#!/usr/bin/env bash
# Stop what start_slurm.sh started, each daemon by its pid file (munged stays: others may use it). --purge removes the
# state and the configuration as well.
set -euo pipefail

SLURM_HOME=${SLURM_HOME:-/var/tmp/snpoint-test-slurm}
# a job that outlives the daemons would be there again at the next start
scancel --user=root 2>/dev/null || true
for _ in $(seq 100); do
  [ -n "$(squeue --noheader 2>/dev/null)" ] || break
  sleep 0.2
done
for daemon in slurmd slurmctld slurmdbd mariadbd; do
  pid=$(cat "$SLURM_HOME/run/$daemon.pid" 2>/dev/null || true)
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$daemon" ] || continue
  kill "$pid"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
done
if [ "${1:-}" = --purge ]; then
  rm -rf "$SLURM_HOME"
  for file in slurm.conf gres.conf cgroup.conf slurmdbd.conf; do
    if grep -qsF '# written by start_slurm.sh' "/etc/slurm/$file"; then rm -f "/etc/slurm/$file"; fi
  done
fi

#!/usr/bin/env bash
# Stop the pool of start_htcondor.sh: its own condor_master, by its pid file. --purge removes its files as well.
set -euo pipefail

HTC_HOME=${HTC_HOME:-/var/tmp/snpoint-test-htcondor}
pid=$(cat "$HTC_HOME/run/master.pid" 2>/dev/null || true)
if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = condor_master ]; then
  # a job that outlives the daemons would come back at the next start and wait 40 minutes for its lost machine
  export CONDOR_CONFIG=$HTC_HOME/condor_config
  bin=$HTC_HOME/prefix/usr/bin
  if [ -n "$("$bin/condor_q" -allusers -af ClusterId 2>/dev/null)" ]; then
    "$bin/condor_rm" -all >/dev/null 2>&1 || true
    sleep 1.5
    "$bin/condor_rm" -forcex -all >/dev/null 2>&1 || true
  fi
  kill -QUIT "$pid"
  # the port must be free before the next start
  for _ in $(seq 120); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.25
  done
  ! kill -0 "$pid" 2>/dev/null || { echo "[htcondor] master $pid does not stop" >&2; exit 1; }
fi
rm -f "$HTC_HOME/run/master.pid"
if [ "${1:-}" = --purge ]; then rm -rf "$HTC_HOME"; fi

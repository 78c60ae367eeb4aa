#!/usr/bin/env bash
# Start a real one-node SLURM cluster on loopback, from nothing, on Debian bookworm as root. A second call finds it running.
#
#   bash start_slurm.sh
#   SLURM_DBD=1 bash start_slurm.sh   # with MariaDB and slurmdbd, so that sacct works
#   bash stop_slurm.sh
#
# The configuration goes to /etc/slurm, where the commands look by themselves; a slurm.conf that this script did not
# write is left alone. The GPU is a character device that stands for one.
set -euo pipefail

SLURM_HOME=${SLURM_HOME:-/var/tmp/snpoint-test-slurm}
SLURM_CPUS=${SLURM_CPUS:-8}   # most of the time a test job only sleeps
SLURM_MEMORY_MB=${SLURM_MEMORY_MB:-8000}
SLURM_WAIT_S=${SLURM_WAIT_S:-60}
SLURM_DBD=${SLURM_DBD:-0}
SLURM_DB_PORT=${SLURM_DB_PORT:-23307}

here=$(dirname "$(readlink -f "$0")")
mark=$(head -n 1 "$here/slurm.conf.in")
node=$(hostname -s)
say() { printf '[slurm] %s\n' "$*" >&2; }
die() { say "ERROR: $*"; exit 1; }
trap 'say "failed at line $LINENO"' ERR

[ "$(id -u)" = 0 ] || die "run as root"
mkdir -p "$SLURM_HOME"
exec 9>"$SLURM_HOME/.lock"
flock 9

alive() {
  local pid
  pid=$(cat "$SLURM_HOME/run/$1.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

within() {  # seconds, command: repeat the command until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

has() {
  local command
  for command; do command -v "$command" >/dev/null || return 1; done
}

install_packages() {
  local wanted=()
  has slurmctld slurmd sbatch munged || wanted+=(slurm-wlm munge)
  [ "$SLURM_DBD" = 0 ] || has slurmdbd mariadbd || wanted+=(slurmdbd mariadb-server)
  [ ${#wanted[@]} -gt 0 ] || return 0
  apt-get update -qq >/dev/null || true
  # no service may start by itself while it is being installed
  local policy=/usr/sbin/policy-rc.d made=0
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=1; fi
  local status=0
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=180 install -y -qq --no-install-recommends \
    "${wanted[@]}" >"$SLURM_HOME/apt.log" 2>&1 || status=$?
  [ "$made" = 0 ] || rm -f "$policy"
  [ "$status" = 0 ] || { tail "$SLURM_HOME/apt.log" >&2; die "apt-get install ${wanted[*]}"; }
}

fill() {
  sed -e "s#@NODE@#$node#g; s#@HOME@#$SLURM_HOME#g; s#@CPUS@#$SLURM_CPUS#g; s#@MEMORY_MB@#$SLURM_MEMORY_MB#g" \
    -e "s#@PORT@#$SLURM_DB_PORT#g" "$1"
}

configure() {
  if [ -s /etc/slurm/slurm.conf ] && ! grep -qF "$mark" /etc/slurm/slurm.conf; then
    die "/etc/slurm/slurm.conf is not this script's"
  fi
  mkdir -p /etc/slurm "$SLURM_HOME"/{ctld,slurmd,log,run,dev}
  # CUDA_VISIBLE_DEVICES is set only for a character device
  [ -c "$SLURM_HOME/dev/nvidia0" ] || mknod "$SLURM_HOME/dev/nvidia0" c 1 3
  local real
  real=$(slurmd -C 2>/dev/null | sed -n 's/.*RealMemory=\([0-9]*\).*/\1/p')
  [ "${real:-0}" -ge "$SLURM_MEMORY_MB" ] || SLURM_MEMORY_MB=$((real * 9 / 10))
  local storage="s#@ACCOUNTING@#slurmdbd#"
  [ "$SLURM_DBD" = 1 ] || storage="s#@ACCOUNTING@#none#; /^AccountingStorageEnforce/d"
  fill "$here/slurm.conf.in" | sed "$storage" >"$SLURM_HOME/slurm.conf"
  cmp -s "$SLURM_HOME/slurm.conf" /etc/slurm/slurm.conf || stop_daemons  # a changed plugin needs a restart
  cp "$SLURM_HOME/slurm.conf" /etc/slurm/slurm.conf
  printf '%s\nNodeName=%s Name=gpu Type=a100 File=%s\n' "$mark" "$node" "$SLURM_HOME/dev/nvidia0" >/etc/slurm/gres.conf
  printf '%s\nCgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' "$mark" >/etc/slurm/cgroup.conf
}

sql() { mariadb --no-defaults --socket="$SLURM_HOME/run/mysql.sock" --execute="$1"; }

start_database() {
  local data=$SLURM_HOME/mysql
  mkdir -p "$data"
  chown mysql: "$data" "$SLURM_HOME/run"
  [ -d "$data/mysql" ] || mariadb-install-db --user=mysql --datadir="$data" --skip-test-db \
    --auth-root-authentication-method=socket >"$SLURM_HOME/log/mysql-install.log" 2>&1
  if ! alive mariadbd; then
    setsid mariadbd --no-defaults --user=mysql --datadir="$data" --socket="$SLURM_HOME/run/mysql.sock" \
      --pid-file="$SLURM_HOME/run/mariadbd.pid" --bind-address=127.0.0.1 --port="$SLURM_DB_PORT" \
      --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 >"$SLURM_HOME/log/mysql.log" 2>&1 </dev/null 9>&- &
  fi
  within 30 sql 'select 1' || { tail "$SLURM_HOME/log/mysql.log" >&2; die "mariadbd did not start"; }
  sql "create database if not exists slurm_acct_db; create or replace user slurm@'127.0.0.1' identified by 'loopback';
    grant all on slurm_acct_db.* to slurm@'127.0.0.1';"
}

start_accounting() {
  alive slurmdbd && return
  start_database
  # slurmdbd reads it only if nobody else can
  (umask 077; fill "$here/slurmdbd.conf.in" >/etc/slurm/slurmdbd.conf)
  slurmdbd 9>&-
  within 30 sacctmgr --noheader list cluster || { tail "$SLURM_HOME/log/slurmdbd.log" >&2; die "slurmdbd does not answer"; }
  [ -n "$(sacctmgr --noheader list cluster loopback format=cluster)" ] ||
    sacctmgr --immediate add cluster loopback >/dev/null
}

stop_daemons() {
  local daemon pid
  for daemon in slurmd slurmctld; do
    alive "$daemon" || continue
    pid=$(cat "$SLURM_HOME/run/$daemon.pid")
    kill "$pid"
    within 20 sh -c "! kill -0 $pid" || die "$daemon does not stop"
  done
}

munge_works() { munge -n | unmunge; }

start_munge() {
  munge_works >/dev/null 2>&1 && return
  mkdir -p /run/munge
  chown munge:munge /run/munge /var/lib/munge /var/log/munge /etc/munge
  chmod 755 /run/munge
  if [ ! -s /etc/munge/munge.key ]; then
    head -c 128 /dev/urandom >/etc/munge/munge.key
    chown munge: /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
  fi
  rm -f /run/munge/munge.socket.2*
  setpriv --reuid munge --regid munge --init-groups /usr/sbin/munged 9>&-
  within 10 munge_works || die "munged does not answer"
}

ready() { sinfo -h -N -o %T 2>/dev/null | grep -qE '^(idle|mixed|allocated)$'; }

install_packages
configure
start_munge
[ "$SLURM_DBD" = 0 ] || start_accounting
clean=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
alive slurmctld || "${clean[@]}" slurmctld 9>&-
within 20 scontrol ping || true
alive slurmd || "${clean[@]}" slurmd 9>&-
within 5 ready || scontrol update nodename="$node" state=resume >/dev/null 2>&1 || true
within "$SLURM_WAIT_S" ready || { tail -n 15 "$SLURM_HOME"/log/*.log >&2; die "not ready after $SLURM_WAIT_S s"; }
if [ "$SLURM_DBD" = 0 ]; then say "ready"; else say "ready, with accounting"; fi

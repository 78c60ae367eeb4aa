#!/usr/bin/env bash
# Start a real one-node HTCondor pool on loopback, from nothing, on Debian bookworm as root. A second call finds it running.
#
#   bash start_htcondor.sh && . "${HTC_HOME:-/var/tmp/snpoint-test-htcondor}/env.sh"
#   bash stop_htcondor.sh
#
# bookworm has no HTCondor: the package of HTC_SUITE and the libraries it needs are unpacked, not installed, below
# $HTC_HOME/prefix, and its programs are pointed to that folder's loader and libraries. Jobs see the host's own files;
# nothing on the host is upgraded. HTCondor refuses jobs of root: the daemons run in a user namespace in which root has
# the number of an ordinary user, so that a test running as root can submit and its jobs write root's files.
set -euo pipefail

HTC_HOME=${HTC_HOME:-/var/tmp/snpoint-test-htcondor}
HTC_SUITE=${HTC_SUITE:-trixie}
HTC_USER=${HTC_USER:-snbatch}
HTC_PORT=${HTC_PORT:-9718}
# more than there are: test jobs sleep
HTC_CPUS=${HTC_CPUS:-8}
HTC_MEMORY_MB=${HTC_MEMORY_MB:-8000}
# two jobs of 5 GB fit, with what the pool keeps for itself
HTC_DISK_MB=${HTC_DISK_MB:-12000}
HTC_WAIT_S=${HTC_WAIT_S:-60}

here=$(dirname "$(readlink -f "$0")")
prefix=$HTC_HOME/prefix
say() { printf '[htcondor] %s\n' "$*" >&2; }
die() { say "ERROR: $*"; exit 1; }
trap 'say "failed at line $LINENO"' ERR

[ "$(id -u)" = 0 ] || die "run as root"
mkdir -p "$HTC_HOME"
exec 9>"$HTC_HOME/.lock"
flock 9

debian_mirror() {
  cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk '
    /^URIs:/ && $2 ~ /\/debian\/?$/ { print $2; exit }
    /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:.*\/debian\/?$/) { print $i; exit } }' || true
}

install_tools() {
  command -v patchelf >/dev/null && command -v readelf >/dev/null && return
  apt-get update -qq >/dev/null || true
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=180 install -y -qq --no-install-recommends \
    patchelf binutils >/dev/null
}

unpack() {
  [ -f "$prefix/.ready-$HTC_SUITE" ] && return
  install_tools
  local apt=$HTC_HOME/apt mirror
  mirror=${HTC_MIRROR:-$(debian_mirror)}
  [ -n "$mirror" ] || die "no Debian mirror in /etc/apt; set HTC_MIRROR"
  rm -rf "$apt" "$prefix"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$prefix"
  # an apt state of its own: the host's is not touched, and the closure is resolved against an empty system
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $HTC_SUITE main" >"$apt/sources.list"
  : >"$apt/status"
  cat >"$apt/apt.conf" <<EOF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::status "$apt/status";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Architecture "$(dpkg --print-architecture)";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
EOF
  export APT_CONFIG=$apt/apt.conf
  apt-get update -qq
  # packages that no program of HTCondor links are left out; the check for missing libraries below proves it
  local unneeded='^(python3|libpython3|perl|libperl|fonts-|libjs-|node-|libdate-manip|condor-upgrade|pcre2-utils|libpcre2-(16|32|posix)|adduser|passwd|login\.defs|debconf|dpkg|tar|base-passwd|media-types|netbase|tzdata|ca-certificates|openssl|libpam|libaudit|libsemanage|libsepol|readline-common|libreadline|libncurses|libtinfo|libgdbm|libdb5|net-tools|libdebconfclient|gcc-[0-9]+-base|libboost|libbsd0|libmd0|libattr1|libacl1|libselinux1|libcap-ng0|libbz2|systemd|libsystemd-shared|cryptsetup|libcryptsetup|dmsetup|libdevmapper|libjson-c|jq|libjq|libonig|libpopt|libmount|libblkid|libc-gconv)'
  local -a packages
  mapfile -t packages < <(apt-get install -s condor | awk '/^Inst/ { print $2 }' | grep -vE "$unneeded")
  [ ${#packages[@]} -gt 0 ] || die "$mirror has no condor in $HTC_SUITE"
  (cd "$apt/debs" && apt-get download -qq "${packages[@]}")
  unset APT_CONFIG
  local deb
  for deb in "$apt"/debs/*.deb; do dpkg-deb -x "$deb" "$prefix"; done
  rm -rf "$prefix"/usr/share/{doc,man,locale,lintian,bash-completion} "$apt"
  patch_programs
  : >"$prefix/.ready-$HTC_SUITE"
  say "unpacked $(du -sh "$prefix" | cut -f1)"
}

patch_programs() {
  local libraries loader program
  loader=$(find "$prefix/usr/lib" -name 'ld-linux*.so.*' | head -n 1)
  libraries=$(dirname "$loader")
  for program in "$prefix"/usr/bin/* "$prefix"/usr/sbin/* "$prefix"/usr/libexec/condor/*; do
    [ -f "$program" ] && [ ! -L "$program" ] || continue
    readelf -lW "$program" 2>/dev/null | grep -q INTERP || continue
    patchelf --set-interpreter "$loader" --force-rpath \
      --set-rpath "$libraries:$prefix/usr/lib/condor:$prefix/usr/lib" "$program"
    if "$loader" --list "$program" 2>&1 | grep 'not found'; then die "missing library for $program"; fi
  done
}

configure() {
  mkdir -p "$HTC_HOME"/{log,spool,execute,lock,run,passwords.d,tokens.d}
  chmod 755 "$HTC_HOME" "$HTC_HOME"/{log,spool,lock,run}
  chmod 1777 "$HTC_HOME/execute"
  chmod 700 "$HTC_HOME"/{passwords.d,tokens.d}
  [ -s "$HTC_HOME/passwords.d/POOL" ] || (umask 077; head -c 64 /dev/urandom >"$HTC_HOME/passwords.d/POOL")
  chown -R 0:0 "$HTC_HOME"/{log,spool,execute,lock,run,passwords.d,tokens.d}
  sed -e "s#@PREFIX@#$prefix#; s#@HOME@#$HTC_HOME#; s#@PORT@#$HTC_PORT#; s#@CPUS@#$HTC_CPUS#" \
    -e "s#@MEMORY_MB@#$HTC_MEMORY_MB#; s#@DISK_KB@#$((HTC_DISK_MB * 1024))#" \
    "$here/condor_config.in" >"$HTC_HOME/condor_config"
  cat >"$HTC_HOME/env.sh" <<EOF
export CONDOR_CONFIG=$HTC_HOME/condor_config
case ":\$PATH:" in *":$prefix/usr/bin:"*) ;; *) export PATH=\$PATH:$prefix/usr/bin:$prefix/usr/sbin ;; esac
EOF
}

running() {
  local pid
  pid=$(cat "$HTC_HOME/run/master.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = condor_master ]
}

ready() {
  [ -n "$("$prefix/usr/bin/condor_status" -schedd -af Name 2>/dev/null)" ] &&
    [ -n "$("$prefix/usr/bin/condor_status" -af Name 2>/dev/null)" ]
}

start() {
  local uid gid
  id "$HTC_USER" >/dev/null 2>&1 ||
    useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$HTC_USER"
  uid=$(id -u "$HTC_USER")
  gid=$(id -g "$HTC_USER")
  unshare --user --map-user="$uid" --map-group="$gid" true || die "no user namespaces here, and HTCondor refuses root's jobs"
  if ss -ltnH "sport = :$HTC_PORT" | grep -q .; then die "port $HTC_PORT is taken; set HTC_PORT"; fi
  rm -f "$HTC_HOME"/lock/shared_port_ad "$HTC_HOME"/log/.*_address "$HTC_HOME"/run/master.pid
  # an empty environment: nothing of the caller's leaks into jobs
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "CONDOR_CONFIG=$CONDOR_CONFIG" \
    unshare --user --map-user="$uid" --map-group="$gid" -- \
    "$prefix/usr/sbin/condor_master" -pidfile "$HTC_HOME/run/master.pid" 9>&-
}

unpack
export CONDOR_CONFIG=$HTC_HOME/condor_config
if running; then
  say "already running"
else
  configure
  start
fi
for _ in $(seq $((HTC_WAIT_S * 5))); do
  ready && break
  sleep 0.2
done
ready || { tail -n 20 "$HTC_HOME"/log/{MasterLog,CollectorLog,SchedLog,StartLog} >&2 || true; die "not ready after $HTC_WAIT_S s"; }
say "ready; . $HTC_HOME/env.sh"

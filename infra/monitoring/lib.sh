# shellcheck shell=bash
# Shared by the scripts of this folder. Sourced, never run.
# shellcheck disable=SC2034 # used by the scripts that source this

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$HERE/../lib.sh"
# Data, logs and process ids of the local Prometheus and Alertmanager.
DIR="$ROOT/.treble/monitoring"

# Debian calls it prometheus-alertmanager, everybody else alertmanager.
find_tools() {
  ALERTMANAGER="$(command -v prometheus-alertmanager || command -v alertmanager || true)"
  local tool
  for tool in prometheus promtool amtool; do
    command -v "$tool" >/dev/null || die "$tool is missing: run 'infra/setup/setup --tests'" 69
  done
  [[ -n "$ALERTMANAGER" ]] || die "alertmanager is missing: run 'infra/setup/setup --tests'" 69
}

# pid_of NAME: the process that NAME.pid names, if it is that program still.
pid_of() {
  local pid
  pid="$(cat "$DIR/$1.pid" 2>/dev/null)" || return 1
  grep -qa "$1" "/proc/$pid/cmdline" 2>/dev/null && printf '%s\n' "$pid"
}

# answers PORT: whether /-/ready says yes.
answers() {
  local line
  line="$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /-/ready HTTP/1.0\r\n\r\n' >&3 && head -n 1 <&3
  )" || return 1
  [[ "$line" == *" 200 "* ]]
}

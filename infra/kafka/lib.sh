# shellcheck shell=bash
# Shared by the scripts of this folder: where things are, which processes are ours, how a fault is told.
# Sourced, never run.
# shellcheck disable=SC2034 # most variables are read by the scripts that source this

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$HERE/../lib.sh"
# The jars: one copy for every instance of this checkout.
DIST="$(realpath -m "${TREBLE_DIST:-$ROOT/.treble/dist}")"
# The folder of one instance; --dir and --instance set it.
DIR="$ROOT/.treble/local"

# need_value OPTION COUNT: dies unless a value follows the option.
need_value() { [[ $2 -ge 2 ]] || die "$1 needs a value; see --help" 2; }

# Options that every script takes. Sets CONSUMED to how many words were used, 0 if the word is none of them.
CONSUMED=0
common_option() {
  CONSUMED=0
  case "$1" in
    -h | --help) show_help ;;
    --dir)
      need_value "$1" $#
      DIR="$(realpath -m "$2")"
      CONSUMED=2
      ;;
    --instance)
      need_value "$1" $#
      [[ "$2" =~ ^[a-zA-Z0-9_-]+$ ]] || die "--instance takes letters, digits, - and _, not '$2'" 2
      DIR="$ROOT/.treble/$2"
      CONSUMED=2
      ;;
  esac
}

# One script at a time changes an instance. Daemons must be started with 9>&-, or they would hold the lock.
lock_instance() {
  mkdir -p "$DIR"
  exec 9>"$DIR/.lock"
  flock -w 180 9 || die "another script is busy with $DIR; wait for it, or end it"
}

# Finds Java 17 or newer and sets JAVA.
find_java() {
  JAVA="${JAVA_HOME:+$JAVA_HOME/bin/}java"
  command -v "$JAVA" >/dev/null || die "no java found; install openjdk-17-jre-headless, or run 'make setup'" 69
  local version
  version="$("$JAVA" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)"
  [[ "${version:-0}" -ge 17 ]] || die "Java 17 or newer is needed, $JAVA is ${version:-unknown}; point JAVA_HOME to one" 69
}

# --- processes: NAME is node-1 … node-3 or registry -------------------------------------------------------------------

# When the process was started, in clock ticks since boot: tells a process from a later one with the same id. A zombie is
# gone once its last thread is: after SIGKILL the main thread can end before those that still hold the sockets.
started_at() {
  local stat threads
  stat="$(cat "/proc/$1/stat" 2>/dev/null)" || return 1
  # The second field is a name in brackets and may hold spaces.
  read -ra stat <<<"${stat##*) }"
  threads=("/proc/$1/task"/*)
  [[ "${stat[0]}" != Z || ${#threads[@]} -gt 1 ]] && printf '%s\n' "${stat[19]}"
}

# pid_of NAME: prints the process id if that very process runs; a stale file counts as not running.
pid_of() {
  local pid start
  read -r pid start 2>/dev/null <"$DIR/$1/pid" || return 1
  [[ -n "$pid" && "$(started_at "$pid")" == "$start" ]] && printf '%s\n' "$pid"
}

is_running() { pid_of "$1" >/dev/null; }

# start_daemon NAME COMMAND…: in a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it.
start_daemon() {
  local name="$1"
  shift
  (
    cd "$DIR/$name" || exit
    exec setsid "$@" 9>&-
  ) </dev/null >"$DIR/$name/console.log" 2>&1 &
  local pid=$!
  disown "$pid"
  printf '%s %s\n' "$pid" "$(started_at "$pid" || echo gone)" >"$DIR/$name/pid"
}

# Names of all parts that this instance has a folder for.
all_parts() {
  local path
  for path in "$DIR"/node-* "$DIR"/registry; do
    [[ -d "$path" ]] && basename "$path"
  done
  return 0
}

running_parts() {
  local name
  for name in $(all_parts); do
    is_running "$name" && printf '%s\n' "$name"
  done
  return 0
}

# signal_part SIGNAL NAME: a process that is gone already is no fault.
signal_part() {
  local pid
  if pid="$(pid_of "$2")"; then kill "-$1" "$pid" 2>/dev/null || true; fi
}

# stop_parts SIGNAL GRACE_S NAME…: signals all at once, waits for them together, then kills what is left.
stop_parts() {
  local signal="$1" grace="$2" deadline=$((SECONDS + $2)) name left
  shift 2
  for name in "$@"; do
    signal_part "$signal" "$name"
  done
  while :; do
    left=()
    for name in "$@"; do
      if is_running "$name"; then left+=("$name"); else rm -f "$DIR/$name/pid"; fi
    done
    [[ ${#left[@]} -eq 0 ]] && return 0
    if ((SECONDS >= deadline)); then
      say "${left[*]}: still running after $grace s, killed"
      for name in "${left[@]}"; do
        signal_part KILL "$name"
      done
      deadline=$((SECONDS + 10))
    fi
    sleep 0.1
  done
}

# --- settings of an instance -------------------------------------------------------------------------------------------

# setting FILE KEY: a value of a properties file.
setting() { sed -n "s/^$2=//p" "$1" | head -n 1; }

node_count() { find "$DIR" -maxdepth 1 -name 'node-*' -type d 2>/dev/null | wc -l; }

# listener_port NODE LISTENER: its port; nothing where it has no such listener.
listener_port() { setting "$DIR/node-$1/server.properties" advertised.listeners | sed -n "s|.*$2://[^,]*:\([0-9]*\).*|\1|p"; }

node_port() { listener_port "$1" PLAINTEXT; }

bootstrap_servers() {
  local id servers=""
  for ((id = 1; id <= $(node_count); id++)); do
    servers+="${servers:+,}127.0.0.1:$(node_port "$id")"
  done
  printf '%s\n' "$servers"
}

has_registry() { [[ -f "$DIR/registry/registry.properties" ]]; }

registry_url() {
  printf 'http://127.0.0.1:%s/apis/ccompat/v7\n' "$(setting "$DIR/registry/registry.properties" quarkus.http.port)"
}

# --- faults -----------------------------------------------------------------------------------------------------------

# log_files NAME: what a part writes, the most telling file last.
log_files() {
  case "$1" in
    registry) printf '%s\n' "$DIR/$1/console.log" "$DIR/$1/registry.log" ;;
    *) printf '%s\n' "$DIR/$1/console.log" "$DIR/$1/logs/server.log" ;;
  esac
}

# explain_failure NAME: the end of its logs and what usually helps.
explain_failure() {
  local file
  for file in $(log_files "$1"); do
    [[ -s "$file" ]] || continue
    say "--- last lines of $file"
    grep -v '^\s*at ' "$file" | tail -n 15 >&2
  done
  say "---"
  if port_clash "$1"; then
    say "A port is taken: run 'up --ports auto', or stop the other program."
  elif grep -qs 'OutOfMemory\|insufficient memory' "$DIR/$1"/*.log "$DIR/$1"/logs/*.log; then
    say "The machine is short of memory: a node needs 450 MB, the registry 190 MB. Free some, or use --nodes 1."
  elif grep -qs 'No space left' "$DIR/$1"/*.log "$DIR/$1"/logs/*.log; then
    say "The disk is full: free some space ('down --purge' removes this instance's data)."
  else
    say "Read the whole log with 'make kafka-logs'. If the data is damaged and not needed: 'down --purge', then 'up'."
  fi
}

port_clash() { grep -qs 'Address already in use\|already in use' "$DIR/$1"/*.log "$DIR/$1"/logs/*.log; }

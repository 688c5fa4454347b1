# shellcheck shell=bash
# Starts and stops `treble run` for a script. Sourced, never run.

INFRA="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
STAGES_PID=""

# start_stages BINARY LOG [OPTION…]: returns when all stages have restored their state and say so; if they end instead,
# their log says why. The broker is that of TREBLE_BOOTSTRAP_SERVERS.
start_stages() {
  local binary="$1" log="$2" deadline=$((SECONDS + 120)) port
  shift 2
  port="$("$INFRA/kafka/probe.py" ports 9464)"
  TREBLE_ADMIN_LISTEN="127.0.0.1:$port" "$binary" run "$@" </dev/null >"$log" 2>&1 &
  STAGES_PID=$!
  until "$INFRA/kafka/probe.py" http "http://127.0.0.1:$port/readyz" 2>/dev/null; do
    if ! kill -0 "$STAGES_PID" 2>/dev/null || ((SECONDS > deadline)); then
      tail -n 20 "$log" >&2
      printf 'error: the stages did not become ready; the end of their log is above, the whole in %s\n' "$log" >&2
      return 69
    fi
    sleep 0.1
  done
}

# Lets them commit what they have.
stop_stages() {
  [[ -n "$STAGES_PID" ]] || return 0
  kill -TERM "$STAGES_PID" 2>/dev/null || true
  wait "$STAGES_PID" 2>/dev/null || true
  STAGES_PID=""
}

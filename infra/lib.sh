# shellcheck shell=bash
# What the scripts of all folders share: where the checkout is, how a fault is told, where help stands. Sourced by each
# folder's lib.sh, never run.
# shellcheck disable=SC2034 # used by the scripts that source this

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE [EXIT_CODE]
die() {
  say "error: $1"
  exit "${2:-1}"
}

# The comment at the top of the calling script is its help.
show_help() {
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
  exit 0
}

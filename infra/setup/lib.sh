# shellcheck shell=bash
# Shared by the scripts of this folder. Sourced, never run.
# shellcheck disable=SC2034 # used by the scripts that source this

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$HERE/../lib.sh"

# apt as a script needs it: no questions, few words, patience with a busy lock.
apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User=root "$@" </dev/null
}

# with_fresh_lists COMMAND…: runs it; if it fails, package lists may be missing or old: updates them once and tries again.
with_fresh_lists() {
  local said
  said="$("$@" 2>&1)" && return 0
  [[ $EUID -eq 0 ]] && apt_get update >&2 && said="$("$@" 2>&1)" && return 0
  say "$said"
  return 1
}

# is_stamped FOLDER WANTED: whether that folder was completed with exactly those inputs.
is_stamped() { [[ -f "$1/.stamp" && "$(cat "$1/.stamp")" == "$2" ]]; }

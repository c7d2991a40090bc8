# TAP for shell scripts, to be sourced: ok, is, like, exits, skip_all, done_testing. The binary is $hyperscale, scratch space $tmp.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
hyperscale=$root/${BUILD:-build}/hyperscale
export XDG_CACHE_HOME HF_HUB_OFFLINE=1 NO_COLOR=1
tmp=$(mktemp -d)
XDG_CACHE_HOME=$tmp/cache
trap 'rm -rf "$tmp"' EXIT
tests=0
failures=0

ok() { # ok STATUS NAME
  tests=$((tests + 1))
  if [ "$1" -eq 0 ]; then echo "ok $tests - $2"; else echo "not ok $tests - $2"; failures=$((failures + 1)); fi
}
is() { # is FOUND EXPECTED NAME
  [ "$1" = "$2" ]
  ok $? "$3"
  [ "$1" = "$2" ] || printf '# found:    %s\n# expected: %s\n' "${1:0:2000}" "${2:0:2000}"
}
like() { # like TEXT REGEX NAME
  printf '%s' "$1" | grep -qE -- "$2"
  local status=$?
  ok $status "$3"
  [ $status -eq 0 ] || printf '# found: %s\n# wanted: %s\n' "${1:0:2000}" "$2"
}
exits() { # exits CODE REGEX NAME COMMAND...: the exit code, and a line of stdout or stderr that matches
  local code=$1 regex=$2 name=$3 output status
  shift 3
  output=$("$@" 2>&1)
  status=$?
  is "$status" "$code" "$name: exit code"
  like "$output" "$regex" "$name: message"
}
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
done_testing() {
  echo "1..$tests"
  [ "$failures" -eq 0 ]
  exit $?
}

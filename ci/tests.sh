#!/usr/bin/env bash
# Run pytest in PROCESSES processes. If at most ten tests fail, run those once more, one at a time: a test that lost a
# race against the others on a busy machine passes then and is listed as flaky, and a broken one fails again.
#   ci/tests.sh PROCESSES [argument of pytest ...]
set -uo pipefail
PYTEST=${PYTEST:-.venv/bin/pytest}
MOST_FAILED=10
processes=$1
shift
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT

"$PYTEST" -n "$processes" --dist worksteal -q -o cache_dir="$cache" "$@"
status=$?
# Other exit codes than 1 do not mean failed tests, but a run that broke off.
[ "$status" -eq 1 ] || exit "$status"

failed=$(sed -n 's/^  "\(.*\)": true,\{0,1\}$/\1/p' "$cache/v/cache/lastfailed")
count=$(printf '%s\n' "$failed" | wc -l)
if [ -z "$failed" ] || [ "$count" -gt "$MOST_FAILED" ]; then exit "$status"; fi
echo "$count failed. They run once more, one at a time."
"$PYTEST" -n 0 -q -o cache_dir="$cache" --last-failed --last-failed-no-failures none "$@" || exit 1
printf 'FLAKY: %s\n' "$failed"

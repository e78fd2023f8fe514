#!/usr/bin/env bash
# room.sh GIB [FOLDER...]: makes room on a hosted runner, whose disk is full of toolchains that nobody here uses.
# They are removed one by one, the quickest first, until GIB are free, so that a runner with room loses no time.
set -euo pipefail
wanted="$1"
shift
[ "$#" -gt 0 ] || set -- /opt/hostedtoolcache/CodeQL /usr/local/.ghcup /usr/share/swift /usr/share/dotnet /usr/local/lib/android

room() {
  df --output=avail --block-size=1G "${PWD}" | tail -n 1 | tr -d ' '
}

for folder in "$@"; do
  [ "$(room)" -lt "$wanted" ] || break
  echo "removing $folder"
  rm -rf "$folder"
done
echo "$(room) GiB free, $wanted wanted"

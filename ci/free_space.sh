#!/usr/bin/env bash
# free_space.sh GIB [FOLDER...]: frees disk space on a hosted runner by removing toolchains that are not used here.
# The folders are removed one by one, the fastest first, until GIB are free, so that a runner with space loses no time.
set -euo pipefail
needed="$1"
shift
[ "$#" -gt 0 ] || set -- /opt/hostedtoolcache/CodeQL /usr/local/.ghcup /usr/share/swift /usr/share/dotnet /usr/local/lib/android

free_gib() {
  df --output=avail --block-size=1G "${PWD}" | tail -n 1 | tr -d ' '
}

for folder in "$@"; do
  [ "$(free_gib)" -lt "$needed" ] || break
  echo "removing $folder"
  rm -rf "$folder"
done
echo "$(free_gib) GiB free, $needed needed"

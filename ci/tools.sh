#!/usr/bin/env bash
# tools.sh: installs the programs that `make test-tools` needs besides Python, from Debian's packages, and the npm
# packages of clients/typescript. Exits with 3 if they cannot be installed on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
# The names in the tests' marks, and the package of each.
declare -A packages=([caddy]=caddy [cc]=build-essential [chromium]=chromium [faketime]=faketime [fish]=fish [node]=nodejs [npm]=npm [prometheus]=prometheus [promtool]=prometheus [tsc]=node-typescript [zsh]=zsh)

missing=()
for program in "${!packages[@]}"; do
  command -v "$program" > /dev/null || missing+=("${packages[$program]}")
done
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "test-tools CANNOT RUN HERE: ${missing[*]} missing, and only root on a Debian can install them here" >&2
    exit 3
  fi
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get --quiet update && apt-get --quiet install --yes --no-install-recommends "${missing[@]}"; } > /dev/null; then
    echo "test-tools CANNOT RUN HERE: apt-get cannot install ${missing[*]}" >&2
    exit 3
  fi
fi
if ! make --no-print-directory npm-packages > /dev/null; then
  echo "test-tools CANNOT RUN HERE: npm cannot install the packages of clients/typescript" >&2
  exit 3
fi

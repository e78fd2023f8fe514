#!/usr/bin/env bash
# Prints the newest commit that changed a source of the image. Commits of one revision share an image.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t sources < <(sed -n 's/^!//p' .dockerignore)
git log -1 --format=%H -- Dockerfile .dockerignore "${sources[@]}"

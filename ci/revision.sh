#!/usr/bin/env bash
# Prints the newest commit that changed anything of which the image is made. Commits of one revision share an image.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t made_of < <(sed -n 's/^!//p' .dockerignore)
git log -1 --format=%H -- Dockerfile .dockerignore "${made_of[@]}"

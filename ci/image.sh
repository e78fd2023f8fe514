#!/usr/bin/env bash
# Prints `image=` and the image of this checkout: its digest if it was built, or else the name that it would get.
set -euo pipefail
cd "$(dirname "$0")/.."
name="ghcr.io/${GITHUB_REPOSITORY,,}"
tag="rev-$(ci/revision.sh)"
digest="$(docker buildx imagetools inspect "$name:$tag" --format '{{.Manifest.Digest}}' 2> /dev/null || true)"
if [ -n "$digest" ]; then
  echo "image=$name@$digest"
else
  echo "image=$name:$tag"
fi

"""What the worker has to reach."""

from __future__ import annotations

OVER_FRESH = 1.10
OVER_WARM = 1.20
THROUGH_VAST = 1.60
BURST = 1.0
FOUR_ENGINES = 3.9
MEMORY_MIB = 32.0
START_OVER_IMPORTS = 3.0
S3_MEMORY_MIB = 64.0

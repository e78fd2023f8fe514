"""What the worker has to reach."""

from __future__ import annotations

OVER_FRESH = 1.10
OVER_WARM = 1.20
THROUGH_VAST = 1.60
LARGE_OVER_FRESH = 1.20
"""An 8 MB PNG in base64; its client has to parse 22 MB of JSON, which a direct client has not."""
RAW_OVER_FRESH, LARGE_RAW_OVER_FRESH = 1.08, 1.05
"""PNGs of 0.6 MB and 8 MB that are answered as a file."""
BURST = 1.0
VAST_BURST, VAST_BURST_EMBEDDED = 0.95, 0.85
VAST_BURST_QUARTILE = 0.85
"""Through Vast's client, router and SDK: in front of a real ComfyUI, and of the embedded engine."""
PAUSE_S = 0.025
FOUR_ENGINES = 3.9
SANDBOX = 1.02
"""A job behind the sandbox over one without it."""
MEMORY_MIB = 32.0
START_OVER_IMPORTS = 3.0
S3_MEMORY_MIB = 64.0

"""The targets of the benchmark."""

from __future__ import annotations

OVER_FRESH = 1.10
"""Time of a job over a new connection, relative to a fresh client of ComfyUI."""
OVER_WARM = 1.20
"""Time of a job over a kept connection, relative to a warm client of ComfyUI."""
THROUGH_VAST = 1.60
"""Time of a job through Vast's client, router and SDK, relative to a fresh client of ComfyUI."""
LARGE_OVER_FRESH = 1.20
"""The same for an 8 MB PNG in base64. The worker's client has to parse 22 MB of JSON."""
RAW_OVER_FRESH, LARGE_RAW_OVER_FRESH = 1.08, 1.05
"""The same for PNGs of 0.6 MB and 8 MB that are returned as a file."""
BURST = 1.0
"""Jobs per second in a burst, relative to a fresh client."""
VAST_BURST, VAST_BURST_EMBEDDED = 0.95, 0.85
VAST_BURST_QUARTILE = 0.85
"""Jobs per second in a burst through Vast, for a real ComfyUI, the embedded engine, and the lower quartile."""
PAUSE_S = 0.025
"""Longest pause of the event loop in seconds."""
FOUR_ENGINES = 3.9
"""Jobs per second with four engines, relative to one."""
SANDBOX = 1.02
"""Time of a job with the sandbox, relative to one without it."""
MEMORY_MIB = 32.0
"""Memory that a large output adds, in MiB."""
START_OVER_IMPORTS = 3.0
"""Time of a start, relative to importing its libraries."""
S3_MEMORY_MIB = 64.0
"""Memory that a large output to S3 adds, in MiB."""

"""Errors in locking node packs.

Errors of pinning and fetching packs are in worker/node_packs/pins.py and sources.py.
"""

from __future__ import annotations


class RequirementsError(ValueError):
    """A pack has a requirement that a lock cannot contain."""


class LockError(ValueError):
    """There is no lock for these pins, or none that is valid for every machine."""

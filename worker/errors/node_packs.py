"""Node packs that can't be locked. Those that can't be pinned or fetched: worker/node_packs/pins.py and sources.py."""

from __future__ import annotations


class RequirementsError(ValueError):
    """A pack requires something that no lock can hold."""


class LockError(ValueError):
    """There is no lock of these pins, or none that fits every machine."""

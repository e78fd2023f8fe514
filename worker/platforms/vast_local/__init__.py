"""Vast's router and autoscaler, played on this machine for Vast's own client and worker.

What is known of the real ones, and how: `docs/vast.md`. The rest is guessed and says so where it is.
"""

from worker.platforms.vast_local.conduct import Conduct
from worker.platforms.vast_local.record import Deletion, Record, Status, Told
from worker.platforms.vast_local.server import LocalVast, serve

__all__ = ["Conduct", "Deletion", "LocalVast", "Record", "Status", "Told", "serve"]

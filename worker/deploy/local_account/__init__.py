"""Vast's REST API for one account, played on this machine for Vast's own client.

What is known of the real one, and how: `docs/vast.md`. Where nobody outside knows, it does what is worse for the
caller, and a switch of `Conduct` says so.
"""

from worker.deploy.local_account.conduct import Conduct, Fate, Fault
from worker.deploy.local_account.record import Call, Record
from worker.deploy.local_account.server import LocalAccount, running, serve

__all__ = ["Call", "Conduct", "Fate", "Fault", "LocalAccount", "Record", "running", "serve"]

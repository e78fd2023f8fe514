"""Vast's REST API for one account, played on this machine for Vast's own client.

What is known of the real one, and how: `docs/vast.md`. Where nobody outside knows, it does what is worse for the
caller, and a switch of `AccountFaultConfig` says so.
"""

from worker.simulators.vast_account.call_log import AccountCall, CallLog
from worker.simulators.vast_account.fault_config import AccountFaultConfig, CallFault, WorkerLifecycle
from worker.simulators.vast_account.server import LocalAccount, run_in_thread, serve

__all__ = [
    "AccountCall",
    "AccountFaultConfig",
    "CallFault",
    "CallLog",
    "LocalAccount",
    "WorkerLifecycle",
    "run_in_thread",
    "serve",
]

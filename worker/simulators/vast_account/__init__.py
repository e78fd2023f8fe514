"""A simulation of Vast's REST API for one account, for Vast's own client.

`docs/vast.md` lists what is known of the real API and how. Where its behavior is unknown, the simulation does what is
worse for the caller, and `AccountFaultConfig` has a switch for it.
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

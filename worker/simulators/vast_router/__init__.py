"""A simulation of Vast's router and autoscaler, for Vast's own client and SDK worker.

`docs/vast.md` lists what is known of the real ones and how. Guesses are marked as such.
"""

from worker.simulators.vast_router.fault_config import RouterFaultConfig
from worker.simulators.vast_router.report_log import Deletion, ReportLog, StatusReport, WorkerSummary
from worker.simulators.vast_router.server import LocalVast, serve

__all__ = ["Deletion", "LocalVast", "ReportLog", "RouterFaultConfig", "StatusReport", "WorkerSummary", "serve"]

"""Vast's router and autoscaler, played on this machine for Vast's own client and worker.

What is known of the real ones, and how: `docs/vast.md`. The rest is guessed and says so where it is.
"""

from worker.simulators.vast_router.fault_config import RouterFaultConfig
from worker.simulators.vast_router.report_log import Deletion, ReportLog, StatusReport, WorkerSummary
from worker.simulators.vast_router.server import LocalVast, serve

__all__ = ["Deletion", "LocalVast", "ReportLog", "RouterFaultConfig", "StatusReport", "WorkerSummary", "serve"]

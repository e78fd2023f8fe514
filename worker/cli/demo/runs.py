"""The runs of `comfy-worker demo --on`, besides the one behind Vast's router, which has many requests and reports."""

from __future__ import annotations

from collections.abc import Mapping

from worker.cli.demo.proxy_run import run_on_proxy
from worker.cli.demo.single_run import RunOnce, run_directly, run_on_modal, run_on_runpod

SINGLE_RUNS: Mapping[str, RunOnce] = {
    "modal": run_on_modal,
    "runpod": run_on_runpod,
    "proxy": run_on_proxy,
    "none": run_directly,
}
"""Functions that run the demo, by the value of `--on`."""

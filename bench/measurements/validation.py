"""`python -m bench.measurements.validation`: the time to check a workflow of 100 nodes, with its catalog in memory."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from pathlib import Path

import orjson

from bench.finding import Measurement
from bench.spread import Spread
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, is_link, parse_prompt
from worker.workflow.validation.check import check
from worker.workflow.validation.file_check import AssumeFiles

WORKFLOW = Path("workflows") / "sd15-res4lyf.json"
NODES = 100
AT_MOST_MS = 5.0


def workflow(nodes: int) -> Prompt:
    """Return copies of a shipped workflow in one prompt, with at least this number of nodes."""
    shipped = parse_prompt(orjson.loads(WORKFLOW.read_bytes()))
    copies: Prompt = {}
    for copy in range(nodes // len(shipped) + 1):
        for node_id, node in shipped.items():
            inputs = {
                name: [f"{copy}:{value[0]}", value[1]] if is_link(value) and isinstance(value, list) else value
                for name, value in node["inputs"].items()
            }
            copies[f"{copy}:{node_id}"] = {**node, "inputs": inputs}
    return copies


def measure(name: str, prompt: Prompt, rounds: int) -> Measurement:
    """Return the milliseconds of a check, scaled to 100 nodes."""
    catalog, files = Catalog.bundled(), AssumeFiles()
    problems = len(check(prompt, catalog, files).problems)
    times = []
    gc.collect()
    for _ in range(rounds):
        started = time.perf_counter()
        check(prompt, catalog, files)
        times.append((time.perf_counter() - started) * 1000 / len(prompt) * NODES)
    value = f"{len(prompt)} nodes, {problems} problems"
    return Measurement(f"{name}, a check for 100 nodes", value, "-", Spread.of(times), "ms", at_most=AT_MOST_MS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measurements.validation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    valid_prompt = workflow(NODES)
    measurements = [measure("a workflow that is right", valid_prompt, rounds)]
    for node in valid_prompt.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = -1
    measurements.append(measure("one with a fault in every group", valid_prompt, rounds))
    for measurement in measurements:
        print(
            "  ".join(
                (
                    measurement.name,
                    measurement.value,
                    measurement.measured.show(measurement.unit),
                    measurement.target,
                    measurement.verdict,
                )
            )
        )
    sys.exit("missed" if any(measurement.missed for measurement in measurements) else None)


if __name__ == "__main__":
    main()

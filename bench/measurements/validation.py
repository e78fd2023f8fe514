"""`python -m bench.measurements.validation`: how long a workflow of 100 nodes is checked, its catalog in memory."""

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
    """A shipped workflow beside itself, until there are so many nodes."""
    one = parse_prompt(orjson.loads(WORKFLOW.read_bytes()))
    many: Prompt = {}
    for copy in range(nodes // len(one) + 1):
        for node_id, node in one.items():
            inputs = {
                name: [f"{copy}:{value[0]}", value[1]] if is_link(value) and isinstance(value, list) else value
                for name, value in node["inputs"].items()
            }
            many[f"{copy}:{node_id}"] = {**node, "inputs": inputs}
    return many


def measured(what: str, prompt: Prompt, rounds: int) -> Measurement:
    catalog, files = Catalog.bundled(), AssumeFiles()
    problems = len(check(prompt, catalog, files).problems)
    times = []
    gc.collect()
    for _ in range(rounds):
        started = time.perf_counter()
        check(prompt, catalog, files)
        times.append((time.perf_counter() - started) * 1000 / len(prompt) * NODES)
    here = f"{len(prompt)} nodes, {problems} problems"
    return Measurement(f"{what}, a check for 100 nodes", here, "-", Spread.of(times), "ms", at_most=AT_MOST_MS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measurements.validation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    good = workflow(NODES)
    found = [measured("a workflow that is right", good, rounds)]
    for node in good.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = -1
    found.append(measured("one with a fault in every group", good, rounds))
    for one in found:
        print("  ".join((one.what, one.here, one.measured.show(one.unit), one.target, one.verdict)))
    sys.exit("missed" if any(one.missed for one in found) else None)


if __name__ == "__main__":
    main()

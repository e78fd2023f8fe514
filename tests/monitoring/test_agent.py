"""Workers that Prometheus cannot reach send it their metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.monitoring.committed import ROOT
from tests.monitoring.prometheus_server import run, started

pytestmark = [pytest.mark.tools("prometheus", "promtool"), pytest.mark.timeout(240)]

AGENT = ROOT / "monitoring" / "prometheus" / "agent.yml"


async def test_an_agent_beside_a_worker_sends_its_metrics(engine: EngineHandle, tmp_path: Path) -> None:
    """With agent.yml, another Prometheus receives the metrics of a worker, with its instance number as `instance`."""
    for name in ("receiver", "agent"):
        (tmp_path / name).mkdir()
    secret = tmp_path / "secret"
    secret.write_text("a-token")
    receiver_options = ("--web.enable-remote-write-receiver", f"--storage.tsdb.path={tmp_path / 'receiver' / 'data'}")
    agent_options = (
        "--enable-feature=agent,expand-external-labels",
        f"--storage.agent.path={tmp_path / 'agent' / 'data'}",
    )
    async with (
        worker(engine, tmp_path / "state") as client,
        started(tmp_path / "receiver", "", *receiver_options) as receiver,
    ):
        config = AGENT.read_text("utf-8").replace("127.0.0.1:18288", client.app.url.removeprefix("http://"))
        config = config.replace("https://prometheus.example.com", receiver.url).replace("15s", "1s")
        config = config.replace("/run/secrets/prometheus.token", str(secret))
        config += "    queue_config: {batch_send_deadline: 100ms}\n"  # instead of 5 s
        async with started(tmp_path / "agent", config, *agent_options, CONTAINER_ID="4711"):
            [ready] = await receiver.until("comfy_worker_ready", 50.0)
        assert ready["metric"] == {"__name__": "comfy_worker_ready", "instance": "4711", "job": "comfy-worker"}
        assert ready["value"][1] == "1"


async def test_promtool_accepts_the_agent(tmp_path: Path) -> None:
    """`promtool check config` accepts agent.yml."""
    secret = tmp_path / "secret"
    secret.write_text("a-token")
    config = tmp_path / "agent.yml"
    config.write_text(AGENT.read_text("utf-8").replace("/run/secrets/prometheus.token", str(secret)))
    status, output = await run("promtool", "check", "config", "--agent", config)
    assert status == 0, output

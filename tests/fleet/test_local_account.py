"""The simulated account with Vast's own clients, unmodified."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from vastai import VastAI

from tests.fleet.fleet import ENDPOINT, SEARCH, TEMPLATE
from tests.platforms.conftest import loaded, processes
from worker.fleet.vast.account import Account
from worker.simulators import vast_account, vast_router
from worker.simulators.vast_account import AccountFaultConfig, CallFault, LocalAccount


def test_vasts_own_client_builds_a_fleet(local: LocalAccount) -> None:
    """Every call of the SDK that a fleet needs works on the simulated account."""
    vast = VastAI(local.api_key, local.url, retry=1)
    made = vast.create_template(name="comfy", image="example/worker", search_params="gpu_ram>=24")
    hash_id = made["template"]["hash_id"]
    new = vast.update_template(hash_id, name="comfy", image="example/worker", image_tag="2")["template"]["hash_id"]
    assert new != hash_id
    assert {row["name"] for row in vast.search_templates("hash_id=" + new)} == {"comfy"}
    endpoint_id = vast.create_endpoint(endpoint_name="comfy", cold_workers=1)["result"]
    group_id = vast.create_workergroup(template_hash=hash_id, endpoint_id=endpoint_id, search_params="num_gpus=1")["id"]
    vast.update_workergroup(group_id, template_hash=new, endpoint_id=endpoint_id, search_params="num_gpus=1")
    assert vast.show_endpoints()[0]["id"] == endpoint_id
    assert vast.show_workergroups()[0]["search_query"]["verified"] == {"eq": True}
    vast.create_env_var("hf_token", "secret-token")
    with pytest.raises(requests.HTTPError):
        vast.create_env_var("HF_TOKEN", "again")
    vast.update_env_var("HF_TOKEN", "again")
    assert "again" not in str(vast.show_env_vars())
    assert list(vast.show_env_vars()) == ["HF_TOKEN"]
    assert vast.show_user()["id"] == local.holdings.user_id
    (instance,) = vast.show_instances()
    vast.destroy_instance(instance["id"])
    vast.delete_env_var("HF_TOKEN")
    vast.delete_workergroup(group_id)
    vast.delete_endpoint(endpoint_id)
    vast.delete_template(hash_id=new)
    assert (local.holdings.endpoints, local.holdings.groups, local.holdings.templates.rows) == ({}, {}, {})


def test_vasts_own_client_creates_duplicates(local: LocalAccount) -> None:
    """The retries of Vast's client repeat a POST that took effect (T45)."""
    local.configure(AccountFaultConfig(faults={1: CallFault.DROPPED}))
    VastAI(local.api_key, local.url).create_endpoint(endpoint_name="comfy")
    assert [row["endpoint_name"] for row in local.holdings.endpoints.values()] == ["comfy", "comfy"]


def test_rate_limits_are_plain_text(local: LocalAccount) -> None:
    """A rate limit applies to each kind of call, and has Retry-After only when switched on."""
    local.configure(AccountFaultConfig(interval_s=5))
    headers = {"Authorization": f"Bearer {local.api_key}"}
    answers = [requests.get(f"{local.url}/api/v0/{kind}/", headers=headers, timeout=5) for kind in ("secrets",) * 2]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["Content-Type"].startswith("text/plain")
    assert "Retry-After" not in answers[1].headers


async def test_an_endpoint_of_the_account_has_real_workers(tmp_path: Path) -> None:
    """Vast's client finds an endpoint of the account at its URL, and a real worker responds."""
    async with (
        vast_router.serve() as vast,
        vast_account.serve(vast=vast) as local,
        processes(tmp_path) as spawn,
        local.client() as client,
    ):
        await spawn("plain_worker.py", {**await vast.worker_env(1), "REPORT_ADDR": local.url})
        await vast.record.until(loaded(1), 60)
        await asyncio.to_thread(make, local)
        result = await (await client.get_endpoint("comfy")).request("/generate/sync", {"a": 1})
        assert result["response"] == {"echo": {"a": 1}}


def make(local: LocalAccount) -> None:
    with Account(local.api_key, local.url) as account:
        template, endpoint = account.save_template(TEMPLATE, None), account.create_endpoint(ENDPOINT)
        account.create_group(endpoint, {"template_hash": template.hash, "search_params": SEARCH})
        assert [row.ready for row in account.workers(endpoint)] == [True]


def test_a_person_can_start_it() -> None:
    """The command prints URL and key, serves the account, and exits on Ctrl-C."""
    command = [sys.executable, "-m", "worker.simulators.vast_account"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, key = (process.stdout.readline().split()[-1] for _ in range(2))
        with Account(key, url) as account:
            assert account.read().templates == ()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0

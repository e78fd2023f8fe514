"""Reading an account: its contents, its retries and its servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from tests.fleet.fleet import ENDPOINT, SEARCH, TEMPLATE, group, quick
from worker.errors import VastKeyRefused, VastRateLimited, VastRefused, VastUnreachable
from worker.fleet.vast.account import Account
from worker.simulators.vast_account import AccountFaultConfig, CallFault, LocalAccount, WorkerLifecycle


def test_reading_takes_four_calls_and_changes_nothing(local: LocalAccount, account: Account) -> None:
    """Reading takes four GET calls, with and without a fleet."""
    assert account.read().endpoints == ()
    assert [call.method for call in local.record.calls] == ["GET"] * 4
    template = account.save_template(TEMPLATE, None)
    account.create_group(account.create_endpoint(ENDPOINT), group(template.hash))
    local.record.clear()
    with Account(local.api_key, local.url) as other:
        assert len(other.read().groups) == 1
        assert other.calls == 4
    assert [call.method for call in local.record.calls] == ["GET"] * 4


def test_what_is_read_can_be_compared_with_what_was_sent(account: Account) -> None:
    """Filters as text, the server's own fields and nulls are no differences."""
    template = account.save_template(TEMPLATE, None)
    endpoint = account.create_endpoint(ENDPOINT)
    made = account.create_group(endpoint, group(template.hash))
    actual = account.read()
    (read,) = actual.templates
    shown = {name: value for name, value in TEMPLATE.items() if name != "docker_login_pass"}
    assert shown.items() <= read.body.items()
    assert not {"hash_id", "creator_id", "created_at", "docker_login_pass"} & read.body.keys()
    assert (read.name, read.hash) == (template.name, template.hash)
    assert actual.endpoints == (endpoint,)
    assert endpoint.body == ENDPOINT
    assert actual.groups == (made,)
    assert made.search == {
        "gpu_ram": {"gte": 24000.0},
        "dph_total": {"lt": 0.5},
        "gpu_name": {"eq": "RTX 4090"},
        "geolocation": {"in": ["DE", "NL"]},
        "verified": {"eq": True},
        "rentable": {"eq": True},
        "rented": {"eq": False},
    }


@pytest.mark.parametrize("filters_heeded", [True, False])
def test_only_own_templates_are_read(local: LocalAccount, account: Account, *, filters_heeded: bool) -> None:
    """Public templates of others with the same name and content are not read."""
    local.configure(AccountFaultConfig(filters_heeded=filters_heeded))
    local.holdings.templates.create(TEMPLATE | {"private": False}, creator_id=1)
    assert account.read().templates == ()
    mine = account.save_template(TEMPLATE | {"private": False}, None)
    assert [template.id for template in account.read().templates] == [mine.id]


def test_of_the_environment_only_names_are_read(account: Account) -> None:
    """Variables are read by their names in upper case."""
    account.set_environment("hf_token", "secret-token")
    assert account.read().environment == {"HF_TOKEN"}


@pytest.mark.parametrize("fault", CallFault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_reading_survives_each_call_going_wrong(
    local: LocalAccount, account: Account, number: int, fault: CallFault
) -> None:
    """Whichever call fails, the same is read with one more call."""
    template = account.save_template(TEMPLATE, None)
    account.create_group(account.create_endpoint(ENDPOINT), group(template.hash))
    expected, before = account.read(), account.calls
    local.configure(AccountFaultConfig(faults={number: fault}, hang_s=0.3))
    assert account.read() == expected
    assert account.calls == before + 5


@pytest.mark.parametrize("refusals_count", [False, True])
@pytest.mark.parametrize("retry_after", [False, True])
def test_a_rate_limit_is_waited_out(
    local: LocalAccount, account: Account, *, refusals_count: bool, retry_after: bool
) -> None:
    """Retries succeed after a rate limit, even when a rejected call starts a new interval."""
    local.configure(AccountFaultConfig(interval_s=0.6, refusals_count=refusals_count, retry_after=retry_after))
    account.create_endpoint(ENDPOINT)
    account.create_endpoint(ENDPOINT | {"endpoint_name": "second"})
    assert [row["endpoint_name"] for row in local.holdings.endpoints.values()] == ["comfy", "second"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (CallFault.ERROR_500, VastUnreachable),
        (CallFault.CLOSED, VastUnreachable),
        (CallFault.LATE, VastUnreachable),
        (CallFault.LIMITED, VastRateLimited),
    ],
)
def test_retries_end_at_the_time_limit(local: LocalAccount, fault: CallFault, kind: type[Exception]) -> None:
    """Retries end within the time limit, with the reason."""
    local.configure(AccountFaultConfig(faults=dict.fromkeys(range(1, 99), fault), hang_s=0.3))
    began = time.monotonic()
    with quick(local, 1) as account, pytest.raises(kind) as caught:
        account.set_environment("A", "b")
    assert time.monotonic() - began < 20
    assert "POST /api/v0/secrets/" in str(caught.value)


def test_a_port_without_a_server_is_reported(local: LocalAccount) -> None:
    """A port without a server is reported as such."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Account("key", f"http://127.0.0.1:{port}", limit_s=0.5) as account, pytest.raises(VastUnreachable) as caught:
        account.read()
    assert caught.value.code == "vast_unreachable"


def test_a_rejected_call_is_not_retried(local: LocalAccount, account: Account) -> None:
    """A wrong key and an invalid request are not retried, and the error has Vast's message."""
    with Account("wrong", local.url) as stranger:
        with pytest.raises(VastKeyRefused, match="invalid user key"):
            stranger.read()
        assert stranger.calls == 1
    endpoint = account.create_endpoint(ENDPOINT)
    with pytest.raises(VastRefused, match="no such template") as caught:
        account.create_group(endpoint, group("0" * 32))
    assert (caught.value.status, caught.value.code) == (400, "vast_refused")


def test_no_secret_is_shown(local: LocalAccount, account: Account) -> None:
    """No secret is in rows, in errors that repeat Vast's message, or in the simulator's log."""
    local.configure(AccountFaultConfig(plain_values=True))
    with pytest.raises(VastRefused) as caught:
        account.set_environment("TOKEN", "secret/token=")
    account.save_template(TEMPLATE, None)
    endpoint = account.create_endpoint(ENDPOINT)
    shown = f"{caught.value!r} {account!r} {account.read()!r} {list(local.record.calls)!r}"
    assert "does not match" in shown
    for secret in ("secret/token=", "registry-password", local.api_key, endpoint.key.get_secret_value()):
        assert secret
        assert secret not in shown


def test_workers_become_ready_by_their_template(local: LocalAccount, account: Account) -> None:
    """A worker has a placeholder speed until it is idle, and one of a bad template never is."""
    local.configure(
        AccountFaultConfig(
            lifecycle=WorkerLifecycle(loading_s=0.2),
            lifecycles={"example/worker:2": WorkerLifecycle(final_status="error")},
        )
    )
    template = account.save_template(TEMPLATE, None)
    endpoint = account.create_endpoint(ENDPOINT)
    made = account.create_group(endpoint, group(template.hash))
    rows = account.workers(endpoint)
    assert [(row.status, row.ready) for row in rows] == [("loading", False)] * 2
    assert rows[0].measured_perf > 0
    time.sleep(0.25)
    assert [row.ready for row in account.workers(endpoint)] == [True] * 2
    bad = account.save_template(TEMPLATE | {"tag": "2"}, template)
    made = account.update_group(made, group(bad.hash))
    assert [row.ready for row in account.workers(endpoint)] == [True] * 2
    account.update_workers(made)
    assert [(row.ready, row.error) for row in account.workers(endpoint)] == [(False, True)] * 2
    assert {instance.template_hash for instance in account.instances()} == {bad.hash}


def test_logs_and_many_instances(local: LocalAccount, account: Account) -> None:
    """Logs are the last lines of one level, and instances come from all pages."""
    template = account.save_template(TEMPLATE, None)
    endpoint = account.create_endpoint(ENDPOINT | {"cold_workers": 60, "max_workers": 60})
    made = account.create_group(endpoint, group(template.hash))
    assert len(account.endpoint_logs(endpoint, 1).splitlines()) == 2
    assert len(account.group_logs(made, 3, 1).splitlines()) == 1
    assert len({instance.id for instance in account.instances()}) == 60


CALLS = f"""
import sys
from worker.fleet.vast.account import Account
with Account(sys.argv[1], sys.argv[2]) as account:
    endpoint = account.create_endpoint({ENDPOINT!r})
    account.workers(endpoint)
    account.endpoint_logs(endpoint)
"""


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_autoscaler_is_the_given_server_whatever_the_environment_says(
    local: LocalAccount, *, elsewhere: bool
) -> None:
    """The autoscaler is the given server, whatever VAST_URL is."""
    url = "http://127.0.0.1:9" if elsewhere else local.url
    command = [sys.executable, "-c", CALLS, local.api_key, local.url]
    subprocess.run(command, env={**os.environ, "VAST_URL": url}, check=True, timeout=60)
    assert local.record.count("POST", "/get_endpoint_workers/") == 1
    assert local.record.count("POST", "/get_endpoint_logs/") == 1


def test_a_search_without_its_defaults_is_not_what_is_read_back(account: Account) -> None:
    """The server adds defaults to a search, so the text has to include them."""
    template, endpoint = account.save_template(TEMPLATE, None), account.create_endpoint(ENDPOINT)
    bare = account.create_group(endpoint, group(template.hash, "num_gpus=1"))
    (read,) = account.read().groups
    assert read.search != bare.search
    whole = account.update_group(read, group(template.hash, SEARCH))
    assert account.read().groups == (whole,)

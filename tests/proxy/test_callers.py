"""Callers of the proxy: keys, their expiry, and limits."""

from __future__ import annotations

import pytest

from worker.errors import NotFound, RateLimited, Unauthorized
from worker.proxy.callers import Callers, check_open_jobs, key_hash, new_key
from worker.proxy.config.config_file import read_config
from worker.proxy.config.tables import ProxyConfig

BACKEND = '[[backends]]\nname = "own"\nurl = "http://127.0.0.1:1"\n'
OLD, NEW, GONE = new_key(), new_key(), new_key()


def digest(key: str) -> str:
    """Return the hash of a key, as the file has it."""
    return key_hash(key.encode())


def configuration(server: str = "", web: str = "") -> ProxyConfig:
    """Return a configuration with two callers. `server` and `web` are lines of their tables."""
    return read_config(
        f"[server]\n{server}\n{BACKEND}"
        f'[[callers]]\nname = "web"\nkey_sha256 = ["{digest(OLD)}", "{digest(NEW)}"]\n{web}\n'
        f'[[callers]]\nname = "gone"\nkey_sha256 = "{digest(GONE)}"\nexpires = 2020-01-01\n'
    )


def test_each_key_of_a_caller_is_accepted() -> None:
    """While a key is replaced, the caller can send the old and the new one."""
    callers = Callers.of(configuration())
    assert {callers.authenticate(f"Bearer {key}").name for key in (OLD, NEW)} == {"web"}
    assert callers.authenticate(f"bearer  {OLD} ").name == "web"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic KEY", "KEY", "Bearer KEYx", "Bearer HASH", "Bearer \udcff\udcfe"],
)
def test_other_keys_are_refused(authorization: str) -> None:
    """A missing key, a wrong one, the hash itself and bytes that are no text are 401. The message has no key."""
    with pytest.raises(Unauthorized) as caught:
        Callers.of(configuration()).authenticate(authorization.replace("KEY", OLD).replace("HASH", digest(OLD)))
    assert OLD not in str(caught.value)


def test_an_expired_key_is_refused_by_name() -> None:
    """The holder of an expired key learns why it is not accepted."""
    with pytest.raises(Unauthorized, match="'gone' has expired"):
        Callers.of(configuration()).authenticate(f"Bearer {GONE}")


def test_no_repr_has_a_hash() -> None:
    """Neither keys nor their hashes appear when the callers are printed."""
    assert digest(OLD)[:8] not in repr(Callers.of(configuration()))


def test_without_callers_everyone_here_is_local() -> None:
    """A proxy without callers asks for no key, and applies the limits of the server."""
    callers = Callers.of(read_config(f"[server]\nmax_jobs = 3\n{BACKEND}"))
    assert (callers.authenticate("").name, callers.authenticate("Bearer x").max_jobs) == ("local", 3)


def test_requests_are_limited_per_caller() -> None:
    """The limit of a caller takes precedence over that of the server. Both keys of a caller count together."""
    callers = Callers.of(configuration("requests_per_minute = 100", "requests_per_minute = 2"))
    for key in (OLD, NEW):
        callers.count_request(callers.authenticate(f"Bearer {key}"))
    with pytest.raises(RateLimited) as caught:
        callers.count_request(callers.authenticate(f"Bearer {OLD}"))
    assert 0 < (caught.value.retry_after_s or 0) <= 30


def test_open_jobs_are_limited() -> None:
    """A caller with as many open jobs as its limit has to wait. 0 means no limit."""
    caller = Callers.of(configuration(web="max_jobs = 2")).authenticate(f"Bearer {OLD}")
    check_open_jobs(caller, 1)
    with pytest.raises(RateLimited, match="2 at a time") as caught:
        check_open_jobs(caller, 2)
    assert caught.value.retry_after_s
    check_open_jobs(Callers.of(configuration()).authenticate(f"Bearer {OLD}"), 10_000)


def test_the_metrics_have_a_key_of_their_own() -> None:
    """Without a key only this machine reads the metrics. With one, only its holder does."""
    Callers.of(configuration()).check_scraper("", is_local=True)
    with pytest.raises(NotFound):
        Callers.of(configuration()).check_scraper(f"Bearer {OLD}", is_local=False)
    key = new_key()
    callers = Callers.of(configuration(f'metrics_key_sha256 = "{digest(key)}"'))
    callers.check_scraper(f"Bearer {key}", is_local=False)
    with pytest.raises(Unauthorized):
        callers.check_scraper(f"Bearer {OLD}", is_local=True)


def test_new_keys_differ_and_are_long() -> None:
    """A key has 256 random bits, and a prefix that scanners find."""
    assert len({new_key() for _ in range(100)}) == 100
    assert new_key().startswith("cwp_")
    assert len(new_key()) >= 47

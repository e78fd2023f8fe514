"""Which prompts one death of an engine takes, decided by the times alone, and the file that remembers it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from worker.engine.crashes.deaths import REMEMBERED_S, TOGETHER_S, EngineDeaths
from worker.engine.crashes.history import CrashHistory, CrashRecord
from worker.job import JobRequest

REQUEST = JobRequest({"1": {"class_type": "EmptyImage", "inputs": {}}})


def test_one_death_takes_all_prompts_that_were_inside() -> None:
    """Prompts that an engine had before its end was noticed died together, however late each is missed."""
    deaths = EngineDeaths()
    first = deaths.name("engine", submitted_at=10.0, now=20.0)
    assert [deaths.name("engine", submitted_at=at, now=now) for at, now in ((11.0, 20.1), (19.9, 300.0))] == [first] * 2


def test_a_prompt_that_came_after_a_death_died_of_another() -> None:
    """Two deaths in quick succession are two, for a job that was sent again between them."""
    deaths = EngineDeaths()
    first = deaths.name("engine", submitted_at=10.0, now=20.0)
    second = deaths.name("engine", submitted_at=20.5, now=21.0)
    assert second != first
    assert deaths.name("engine", submitted_at=20.6, now=21.2) == second
    assert deaths.name("engine", submitted_at=15.0, now=21.3) == first


@pytest.mark.parametrize(("later_s", "same"), [(1.0, True), (TOGETHER_S + 1, False)])
def test_engines_that_die_together_die_once(later_s: float, same: bool) -> None:
    """One event may end several engines; much later it is another one, and so it is for a prompt that came between."""
    deaths = EngineDeaths()
    first = deaths.name("engine", submitted_at=10.0, now=20.0)
    assert (deaths.name("engine-1", submitted_at=11.0, now=20.0 + later_s) == first) is same
    assert deaths.name("engine-2", submitted_at=20.2, now=20.5) != first


def test_deaths_have_other_names_in_each_life() -> None:
    """Each life of the worker knows one death from before it, and forgets its own after a while."""
    deaths, next_life = EngineDeaths(), EngineDeaths()
    assert deaths.earlier == deaths.earlier != next_life.earlier
    first = deaths.name("engine", submitted_at=10.0, now=20.0)
    assert deaths.name("engine", submitted_at=10.0, now=21.0 + REMEMBERED_S) != first


def test_prompts_of_one_death_are_one_crash() -> None:
    """Five prompts that one death took convict nobody; three deaths of which the worker died, too, do."""
    record = CrashRecord()
    for number in range(5):
        record.add(f"prompt-{number}", "first", seen=number == 0)
    assert (record.crashes, record.is_blocked) == ({"first": True}, False)
    record.add("prompt-0", "the same prompt, found by the next life", seen=False)
    assert len(record.crashes) == 1
    record.add("prompt-6", "second", seen=False)
    assert not record.is_blocked
    record.add("prompt-7", "third", seen=False)
    assert record.is_blocked


def test_the_file_of_an_older_worker_is_read(tmp_path: Path) -> None:
    """It named each death by a prompt; what is added to it counts on, and the older worker reads what is written."""
    path = tmp_path / "suspects.json"
    CrashHistory(path, 60).add(REQUEST, "p", "d", seen=True)
    [(name, record)] = orjson.loads(path.read_bytes()).items()
    assert {type(seen) for seen in record["crashes"].values()} == {bool}
    path.write_bytes(orjson.dumps({name: {"crashes": {"p": True}, "at": record["at"]}}))
    history = CrashHistory(path, 60)
    assert not history.add(REQUEST, "p", "later", seen=False).is_blocked
    assert history.add(REQUEST, "q", "later", seen=True).is_blocked

"""Tests of the prompts that one death of an engine takes, and of the crash history's file."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from worker.engine.crashes.deaths import REMEMBERED_S, TOGETHER_S, EngineDeaths
from worker.engine.crashes.history import CrashHistory, CrashRecord
from worker.job import JobRequest

REQUEST = JobRequest({"1": {"class_type": "EmptyImage", "inputs": {}}})


def test_one_death_takes_all_prompts_that_were_inside() -> None:
    """All prompts that an engine had before its death was noticed have the same death."""
    deaths = EngineDeaths()
    first = deaths.find_or_record("engine", submitted_at=10.0, now=20.0)
    assert [deaths.find_or_record("engine", submitted_at=at, now=now) for at, now in ((11.0, 20.1), (19.9, 300.0))] == [
        first
    ] * 2


def test_a_prompt_that_came_after_a_death_died_of_another() -> None:
    """A prompt that was submitted after a death has another one."""
    deaths = EngineDeaths()
    first = deaths.find_or_record("engine", submitted_at=10.0, now=20.0)
    second = deaths.find_or_record("engine", submitted_at=20.5, now=21.0)
    assert second != first
    assert deaths.find_or_record("engine", submitted_at=20.6, now=21.2) == second
    assert deaths.find_or_record("engine", submitted_at=15.0, now=21.3) == first


@pytest.mark.parametrize(("later_s", "same"), [(1.0, True), (TOGETHER_S + 1, False)])
def test_engines_that_die_together_die_once(later_s: float, same: bool) -> None:
    """Deaths of several engines within TOGETHER_S are one death, and later ones are another."""
    deaths = EngineDeaths()
    first = deaths.find_or_record("engine", submitted_at=10.0, now=20.0)
    assert (deaths.find_or_record("engine-1", submitted_at=11.0, now=20.0 + later_s) == first) is same
    assert deaths.find_or_record("engine-2", submitted_at=20.2, now=20.5) != first


def test_deaths_have_other_names_in_each_life() -> None:
    """Two processes of the worker never use the same name for a death, and old deaths are dropped."""
    deaths, next_life = EngineDeaths(), EngineDeaths()
    assert deaths.earlier_id == deaths.earlier_id != next_life.earlier_id
    first = deaths.find_or_record("engine", submitted_at=10.0, now=20.0)
    assert deaths.find_or_record("engine", submitted_at=10.0, now=21.0 + REMEMBERED_S) != first


def test_prompts_of_one_death_are_one_crash() -> None:
    """Five prompts of one death do not block a graph, and three deaths that the worker did not survive do."""
    record = CrashRecord()
    for number in range(5):
        record.add(f"prompt-{number}", "first", observed=number == 0)
    assert (record.crashes, record.is_blocked) == ({"first": True}, False)
    record.add("prompt-0", "the same prompt, found by the next life", observed=False)
    assert len(record.crashes) == 1
    record.add("prompt-6", "second", observed=False)
    assert not record.is_blocked
    record.add("prompt-7", "third", observed=False)
    assert record.is_blocked


def test_the_file_of_an_older_worker_is_read(tmp_path: Path) -> None:
    """The crash history reads and extends a file in which each death has the name of a prompt."""
    path = tmp_path / "suspects.json"
    CrashHistory(path, 60).add(REQUEST, "p", "d", observed=True)
    [(name, record)] = orjson.loads(path.read_bytes()).items()
    assert {type(seen) for seen in record["crashes"].values()} == {bool}
    path.write_bytes(orjson.dumps({name: {"crashes": {"p": True}, "at": record["at"]}}))
    history = CrashHistory(path, 60)
    assert not history.add(REQUEST, "p", "later", observed=False).is_blocked
    assert history.add(REQUEST, "q", "later", observed=True).is_blocked

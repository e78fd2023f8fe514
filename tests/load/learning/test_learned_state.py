"""What was learned, as data that outlives the worker."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.load.learning.nodes import ENGINE, estimator, run, sampler
from tests.load.learning.synthetic_jobs import SyntheticMachine
from tests.load.learning.test_accuracy import play
from worker.jobs.learned_load import FILE, read_state, starting_state, write_state
from worker.load.gpu_classes import REFERENCE
from worker.load.learning.effect_tree import MAX_SHAPES, Key
from worker.load.learning.estimator import Estimator
from worker.load.learning.learned_state import MAX_BYTES, Learned, LearnedState, LearnedStateError, StateHeader

HEADER = StateHeader("image-1", "580.1", "GPU-1", "2.11.0")


@pytest.fixture(scope="module")
def learned() -> LearnedState:
    """What an estimator has learned from 200 jobs."""
    learner = Estimator({ENGINE: REFERENCE}, LearnedState(HEADER))
    play(SyntheticMachine(3), 200, learner)
    return learner.saved()


def test_the_state_is_the_same_after_a_round_trip(learned: LearnedState) -> None:
    """JSON keeps everything to three digits. An estimator that starts with a state saves the same one."""
    read = LearnedState.from_json(json.loads(json.dumps(learned.to_json())))
    assert LearnedState.from_json(read.to_json()) == read
    assert (read.header, list(read.shapes)) == (HEADER, list(learned.shapes))
    again = Estimator({ENGINE: REFERENCE}, read).saved()
    for state in (read, again):
        for key, effect in state.shapes.items():
            assert effect == pytest.approx(learned.shapes[key], rel=0.01, abs=0.001)
        assert state.machines[ENGINE] == pytest.approx(learned.machines[ENGINE], rel=0.01, abs=0.001)


def test_a_restored_estimator_predicts_the_same(learned: LearnedState) -> None:
    """The predictions before and after a restart agree."""
    before, after = (Estimator({ENGINE: REFERENCE}, state) for state in (learned, learned))
    fresh = play(SyntheticMachine(3), 200, learner := estimator())
    assert fresh.jobs
    after = Estimator({ENGINE: REFERENCE}, learner.saved())
    for job in SyntheticMachine(3).jobs(30):
        before_s, after_s = (known.job(ENGINE, job.work) for known in (learner, after))
        assert after_s.p50_s == pytest.approx(before_s.p50_s, rel=0.01)
        assert after_s.p90_s == pytest.approx(before_s.p90_s, rel=0.02)
    assert before.slowdown(ENGINE) == pytest.approx(learner.slowdown(ENGINE), rel=0.01)


def test_the_file_stays_small() -> None:
    """A state with too many shapes and long names keeps those that ran last: at most 2,000 keys, and 200 kB."""
    shapes = {
        Key("RTX 4090", "sampler", "flux", "fp8", "KSampler" * 8, f"shape {number}"): Learned(0.1234, 0.0123, 99, 0.01)
        for number in range(3 * MAX_SHAPES)
    }
    value = LearnedState(shapes=shapes).to_json()
    text = json.dumps(value)
    assert len(text) <= MAX_BYTES
    assert 500 < len(value["shapes"]) <= MAX_SHAPES <= 2000
    assert value["shapes"][-1][5] == f"shape {3 * MAX_SHAPES - 1}"


@pytest.mark.parametrize(
    "change",
    [
        {"shapes": [["RTX 4090"]]},
        {"shapes": [["RTX 4090", "sampler", "", "", "", "", 0.1, 0.0, 1, 0.1, 1.0]]},
        {"shapes": [["RTX 4090", "sampler", "", "", "", "", "a", 0.1, 1, 0.1, 1.0]]},
        {"shapes": [["RTX 4090", "sampler", "", "", "", "", 1e300, 0.1, 1, 0.1, 1.0]]},
        {"shapes": [["RTX 4090", "sampler", "", "", "", "", 0.1, 1e-310, 1, 0.1, 1.0]]},
        {"shapes": [["RTX 4090", "sampler", "", "", "", "", 0.1, 0.1, 1, 1e308, 1.0]]},
        {"shapes": [["RTX 4090", "sampler", "", "", "", "", 0.1, 0.1, 1e300, 0.1, 1.0]]},
        {"shapes": [["RTX 4090", "sampler", "", "", "", "", 0.1, 0.1, 1, 0.1, 1e308]]},
        {"machines": {"engine-0": [0.1, 1e300, 1]}},
        {"machines": {"engine-0": [float("nan"), 0.1, 1]}},
        {"machines": None},
        {"quantiles": []},
        {"header": 5},
        {"version": "1"},
        {"version": 10**6},
    ],
)
def test_what_is_no_learned_state_is_refused(learned: LearnedState, change: dict[str, Any]) -> None:
    """Each missing or impossible part, and another version, is an error with a reason."""
    with pytest.raises(LearnedStateError, match=r"\w"):
        LearnedState.from_json({**learned.to_json(), **change})


@pytest.mark.parametrize("value", [None, [], "text", {}, {"version": 1}])
def test_other_json_is_refused(value: object) -> None:
    """JSON that has nothing of a learned state is an error."""
    with pytest.raises(LearnedStateError):
        LearnedState.from_json(value)


def test_another_torch_makes_the_effects_less_certain(learned: LearnedState) -> None:
    """With another PyTorch, medians stay and variances grow. With another GPU, only the machine's effect is void."""
    other = learned.under(replace(HEADER, torch="3.0"))
    assert all(effect.mean == learned.shapes[key].mean for key, effect in other.shapes.items())
    assert all(effect.variance > 0.04 for effect in other.shapes.values())
    assert other.machines == learned.machines
    moved = learned.under(replace(HEADER, gpu="GPU-2"))
    assert moved.machines == {}
    assert moved.shapes == learned.shapes
    assert learned.under(HEADER) == learned
    assert learned.under(StateHeader()).shapes == learned.shapes


def test_a_worker_starts_with_what_it_learned(tmp_path: Path, learned: LearnedState) -> None:
    """The state folder's file is read at the start."""
    write_state(tmp_path / FILE, learned)
    stored = read_state(tmp_path / FILE)
    assert stored.shapes.keys() == learned.shapes.keys()
    assert starting_state(tmp_path, None, HEADER) == stored
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 999}'])
def test_a_damaged_file_is_logged_and_ignored(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """A worker whose file cannot be read starts without it, and logs the file and the reason."""
    (tmp_path / FILE).write_text(text)
    assert starting_state(tmp_path, tmp_path / "gone.json", HEADER) == LearnedState(HEADER)
    assert str(tmp_path / FILE) in caplog.text
    assert str(tmp_path / "gone.json") in caplog.text


def test_priors_complete_what_a_worker_learned(tmp_path: Path) -> None:
    """A new worker starts with the priors. What a worker has learned itself takes precedence."""
    other, own = estimator(), estimator()
    run(other, sampler(10.0, shape="1Mpx"), *[20.0] * 10)
    run(other, sampler(10.0, shape="4Mpx"), *[30.0] * 10)
    write_state(tmp_path / "priors.json", other.saved())
    new = Estimator({ENGINE: REFERENCE}, starting_state(tmp_path, tmp_path / "priors.json", HEADER))
    assert new.node(ENGINE, sampler(10.0, shape="4Mpx")).p50_s == pytest.approx(30.0, rel=0.05)
    run(own, sampler(10.0, shape="1Mpx"), *[24.0] * 10)
    write_state(tmp_path / FILE, own.saved())
    both = Estimator({ENGINE: REFERENCE}, starting_state(tmp_path, tmp_path / "priors.json", HEADER))
    assert both.node(ENGINE, sampler(10.0, shape="1Mpx")).p50_s == pytest.approx(24.0, rel=0.05)
    assert both.node(ENGINE, sampler(10.0, shape="4Mpx")).p50_s == pytest.approx(36.0, rel=0.1)

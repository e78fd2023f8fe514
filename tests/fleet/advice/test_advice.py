"""The search, on traces whose best parameters are known by hand."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.fleet.wishes import FLEET, IMAGE
from worker.errors import UnknownPrice
from worker.fleet.advice.advice import Advice, advise
from worker.fleet.advice.doubts import doubts
from worker.fleet.advice.fragment import fragment
from worker.fleet.advice.gpu_choice import gpus_to_compare
from worker.fleet.advice.reasons import reasons
from worker.fleet.advice.spaces.spaces import SPACES
from worker.fleet.advice.target import AdviceTarget, read_target
from worker.fleet.advice.trial import TrialRunner
from worker.fleet.definition.fleet import Fleet
from worker.fleet.definition.fleet_file import read_fleet
from worker.fleet.simulation.trace import TraceJob
from worker.prices.price_file import shipped_prices

TODAY = datetime.date(2026, 11, 30)
CERTAIN = """
[simulation]
gpu = "RTX 4090"
usd_hour = 1.0
speed_spread = 0.0
spread = 0.0
slow_share = 0.0
failure_share = 0.0
machine_failures = 0.0
readings = ["A", "B"]
"""
"""Workers without chance, which cost 720 dollars in a month of 30 days."""
PAIRS = [TraceJob(500.0 * number, 60.0, 60.0, "a") for number in range(4) for _ in range(2)]
"""Two jobs of a minute at the same time, now and then."""
CROWD = [TraceJob(0.0, 60.0, 60.0, "a")] * 50


def fleet_of(more: str = CERTAIN) -> Fleet:
    return read_fleet(FLEET + more, IMAGE)


def runner_of(
    jobs: Sequence[TraceJob],
    target: str | None,
    budget: float | None = None,
    platform: str = "vast",
    more: str = CERTAIN,
) -> TrialRunner:
    wanted = AdviceTarget.of(read_target(target) if target else None, budget)
    return TrialRunner(SPACES[platform](fleet_of(more), jobs), wanted, shipped_prices(), TODAY)


def advice_of(runner: TrialRunner, gpus: Sequence[str] = ("RTX 4090",), seeds: int = 2) -> Advice:
    return advise(runner, gpus, seeds, lambda _: None)


def test_two_jobs_at_a_time_need_two_running_workers() -> None:
    """A stopped worker needs 45 s, and the first job another 60 s: only two running workers keep 5 s.

    They cost 2 x 720 dollars. A third one, which both readings would start, is avoided.
    """
    runner = runner_of(PAIRS, "p99 wait 5 s")
    advice = advice_of(runner)
    assert advice.is_reached
    assert 1 < advice.checked.candidate.value("min_load") <= 2
    for result in advice.checked.results:
        assert (result.kept, result.seeds) == (2, 2)
        assert result.wait_s.mean == 0
        assert result.usd_month.mean == pytest.approx(1440, rel=0.01)
    assert any("A stopped worker is ready after 45 s" in line for line in reasons(advice, runner))
    assert advice.present is not None
    assert not advice.present.is_kept


def test_a_loose_target_needs_one_running_worker_at_most() -> None:
    """The second job may wait for the first: one worker that always runs is enough, and nothing is cheaper."""
    advice = advice_of(runner_of(PAIRS, "p99 wait 120 s"))
    assert advice.is_reached
    assert advice.checked.usd_range[1] <= 720 * 1.01


def test_a_target_that_nothing_keeps_has_a_nearest_choice_and_the_reason() -> None:
    """Of 50 jobs at once, half can start at once on 25 workers, and only ten are tried: all ten should run."""
    runner = runner_of([*CROWD, TraceJob(1800.0, 1.0, 1.0, "a")], "p50 wait 1 s")
    advice = advice_of(runner)
    assert not advice.is_reached
    most = runner.space.most_workers("RTX 4090")
    assert advice.checked.candidate.value("min_load") == most - 0.5
    assert any(f"Up to {most} workers were tried" in line for line in reasons(advice, runner))
    assert {result.kept for result in advice.checked.results} == {0}


def test_a_target_above_the_budget_has_both_ends() -> None:
    """Two workers cost 1,440 dollars. With 800 there is one, and the second job waits for it."""
    runner = runner_of(PAIRS, "p99 wait 5 s", 800.0)
    advice = advice_of(runner)
    assert not advice.is_reached
    assert advice.checked.usd_range[1] == pytest.approx(1440, rel=0.01)
    assert advice.within_budget is not None
    assert advice.within_budget.usd_range[1] <= 800
    assert 5 < advice.within_budget.wait_range[1] <= 110
    assert not any("more than the budget" in line for line in reasons(advice, runner))
    poor = runner_of(PAIRS, "p99 wait 5 s", 100.0)
    assert any("more than the budget of $100" in line for line in reasons(replace(advice, target=poor.target), poor))


def test_a_budget_alone_buys_the_shortest_wait() -> None:
    """With 1,500 dollars, two workers always run and nobody waits."""
    advice = advice_of(runner_of(PAIRS, None, 1500.0))
    assert advice.is_reached
    assert advice.checked.wait_range == (0, 0)
    assert advice.checked.usd_range[1] <= 1500


def test_the_cheaper_gpu_is_chosen_and_one_without_a_price_is_named() -> None:
    """An RTX 3090 is cheaper and fast enough. An L40S has no on-demand price at Vast."""
    runner = runner_of(PAIRS, "p99 wait 300 s", more="")
    advice = advice_of(runner, ["RTX 4090", "RTX 3090", "L40S"])
    assert advice.checked.candidate.gpu == "RTX 3090"
    assert (advice.gpus, advice.unpriced_gpus) == (("RTX 4090", "RTX 3090"), ("L40S",))
    found = {doubt.code: doubt.message for doubt in doubts(advice, runner)}
    assert "L40S was not compared" in found["gpu_unpriced"]
    assert "unknown date" in found["price_stale"]
    assert "60 GB of disk" in found["unpriced"]
    assert found["tail"] == "0 of 8 jobs wait longer than the p99: too few to rely on."
    assert {"short_trace", "boot_assumed", "models_unknown", "arrivals", "local", "few_seeds"} <= found.keys()


def test_no_price_at_all_is_an_error() -> None:
    """Without a price, nothing can be compared."""
    with pytest.raises(UnknownPrice, match="usd_hour"):
        advice_of(runner_of(PAIRS, "p99 wait 300 s", more=""), ["L40S"])


def test_models_are_downloaded_by_each_new_worker_at_vast() -> None:
    """200 GB at 500 Mbit/s are 3,200 s more. The disk of the template is too small for them."""
    runner = runner_of(PAIRS, "p99 wait 120 s", more=f"{CERTAIN}models_gb = 200\ndownload_mbps = 500\n")
    boot = runner.space.scenario(runner.space.present(), "A").platform.boot
    assert boot.loading_s == 210 + 3200
    found = {doubt.code: doubt.message for doubt in doubts(advice_of(runner), runner)}
    assert "200 GB in 53 minutes at 500 Mbit/s" in found["download"]
    assert "disk_gb = 60 is too small for 200 GB" in found["disk"]
    assert "jobs wait about 57 minutes for another" in found["one_worker"]
    assert "models_unknown" not in found


@pytest.mark.parametrize(("platform", "gpu", "usd"), [("runpod", "RTX 4090", 14.0), ("modal", "L40S", 0.0)])
def test_models_on_a_volume_cost_the_price_of_the_volume(platform: str, gpu: str, usd: float) -> None:
    """200 GB at RunPod cost 200 x 0.07 dollars a month. Modal's first 1,024 GiB are free."""
    runner = runner_of(PAIRS, "p99 wait 120 s", platform=platform, more="[simulation]\nmodels_gb = 200\n")
    assert runner.space.volume_usd_month(runner.table, gpu) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("platform", "gpu", "least"), [("runpod", "RTX 4090", "workersMin"), ("modal", "L40S", "min_containers")]
)
def test_other_platforms_are_advised_in_their_own_names(platform: str, gpu: str, least: str) -> None:
    """Two jobs at a time need two workers there as well, and the settings have the platform's names."""
    more = "[simulation]\nmachine_failures = 0.0\n"
    runner = runner_of(PAIRS[:6], "p99 wait 5 s", platform=platform, more=more)
    advice = advice_of(runner, [gpu])
    assert advice.is_reached
    assert advice.checked.candidate.value(least) == 2
    assert [*advice.known] == ["documented"]
    settings = tomllib.loads(fragment(runner.space.fleet, platform, advice.checked.candidate, runner.space.present()))
    assert settings[least] == 2


def test_the_fragment_is_a_part_of_a_valid_fleet_file() -> None:
    """The keys of the fragment, written into the file, give a fleet with these values and no problem."""
    runner = runner_of(PAIRS, "p99 wait 5 s")
    space = runner.space
    (_, _, fixed) = space.starts("RTX 4090")
    text = fragment(space.fleet, "vast", fixed, space.present())
    assert "min_load = 1.5  # now 0.0" in text
    assert 'gpus = ["RTX 4090"]  # now ["RTX 4090", "L40S"]' in text
    endpoint, group = (tomllib.loads(text)[name] for name in ("endpoint", "groups"))
    raw = fleet_of().model_dump()
    raw["endpoint"] |= endpoint
    raw["groups"]["fast"] |= group["fast"]
    changed = Fleet.model_validate(raw)
    assert (changed.endpoint.min_load, changed.endpoint.cold_workers) == (1.5, 2)
    assert changed.groups["fast"].max_workers == changed.endpoint.max_workers


def test_the_gpus_are_those_of_the_file_that_have_a_price() -> None:
    """The file's own GPU is alone if [simulation] names it. Modal has no RTX 4090, and then all of Modal's count."""
    table = shipped_prices()
    assert gpus_to_compare(fleet_of(), "vast", table) == ["RTX 4090"]
    assert gpus_to_compare(fleet_of(""), "vast", table) == ["RTX 4090", "L40S"]
    only = read_fleet(FLEET.replace('["RTX 4090", "L40S"]', '["RTX 4090"]'), IMAGE)
    assert gpus_to_compare(only, "modal", table) == [*table.gpus("modal")]

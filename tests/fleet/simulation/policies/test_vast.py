"""The readings of Vast's autoscaler, on views worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fleet.simulation.views import active, totals, view
from worker.fleet.simulation.policies.demand import RecentHighest, SmoothedRate
from worker.fleet.simulation.policies.vast_parameters import VastParameters
from worker.fleet.simulation.policies.vast_readings import VastReading

PARAMETERS = VastParameters(target_util=0.5, cold_mult=1.0, cold_workers=0, max_workers=20, inactivity_timeout=30)
"""So that the wanted capacity is twice the load, and all workers are active."""


def test_a_smoothed_rate_nears_a_new_value() -> None:
    """Over 60 s: 1 - exp(-5/60) = 8.0 % of the new rate after 5 s, and 1 - exp(-1) = 63.2 % after a minute."""
    rate = SmoothedRate(60.0)
    assert rate.add(50, 5) == pytest.approx(0.0800 * 10, rel=1e-3)
    for _ in range(11):
        rate.add(50, 5)
    assert rate.per_s == pytest.approx(6.32, rel=1e-3)


def test_the_highest_value_is_kept_for_a_while() -> None:
    """4 is the highest until it is more than 10 s old. Then it is 3, which came later."""
    highest = RecentHighest(10)
    assert [highest.add(now_s, value) for now_s, value in ((0, 4), (2, 3), (10, 1), (11, 2), (12, 5), (23, 1))] == [
        *(4, 4, 4, 3, 5, 1)
    ]


def test_a_utilisation_follows_the_load() -> None:
    """50 units in 5 s: the rate is 0.8 a second, twice that are 1.6 workers. After 10 s 1.54, after 2 minutes 17.3."""
    policy = VastReading.UTILISATION.policy(PARAMETERS)
    views = [view(5.0 * tick, new_load=50) for tick in range(24)]
    wanted = active(policy, *views)
    assert (wanted[0], wanted[1], wanted[23]) == (2, 4, 18)


def test_a_utilisation_ignores_the_queue() -> None:
    """However much work waits, only new load counts. A request that waits needs one worker."""
    policy = VastReading.UTILISATION.policy(PARAMETERS)
    assert active(policy, view(waiting=9, waiting_load=900, oldest_wait_s=500)) == [1]


def test_fewer_workers_are_wanted_a_minute_later() -> None:
    """The load ends at once. The wanted workers stay for 60 s, and then follow the rate of a minute before."""
    policy = VastReading.UTILISATION.policy(PARAMETERS)
    wanted = active(policy, view(0, new_load=300), *(view(5.0 * tick) for tick in range(1, 15)))
    assert wanted[:13] == [10] * 13
    assert wanted[13] == 9


def test_no_worker_is_active_after_inactivity_timeout() -> None:
    """One worker stays for 30 s without load. With min_load, or without a timeout, it stays for good."""
    ticks = [view(1000.0, new_load=1e-9), *(view(1000.0 + 10 * tick) for tick in range(1, 5))]
    assert active(VastReading.UTILISATION.policy(PARAMETERS), *ticks) == [1, 1, 1, 0, 0]
    for other in (replace(PARAMETERS, min_load=0.1), replace(PARAMETERS, inactivity_timeout=-1)):
        assert active(VastReading.UTILISATION.policy(other), *ticks)[-1] == 1


def test_an_empty_fleet_wakes_up_for_a_request() -> None:
    """After an hour without load no worker is active, and one is as soon as a request waits."""
    policy = VastReading.UTILISATION.policy(PARAMETERS)
    assert active(policy, view(3600), view(3605, waiting=1)) == [0, 1]


def test_min_load_and_max_workers_bound_the_active_workers() -> None:
    """min_load 3.5 needs four workers of 1 unit a second. max_workers is never passed."""
    limits = replace(PARAMETERS, min_load=3.5, max_workers=5)
    assert active(VastReading.UTILISATION.policy(limits), view(), view(5, new_load=9999)) == [4, 5]


def test_the_total_is_the_largest_of_the_cold_targets() -> None:
    """Active capacity 4: cold_mult 2.5 makes 10 workers, min_cold_load 12 makes 12, cold_workers 15, max_workers 9."""
    base = replace(PARAMETERS, min_load=4.0, cold_mult=2.5)
    for limits, total in (
        (base, 10),
        (replace(base, min_cold_load=12), 12),
        (replace(base, cold_workers=15), 15),
        (replace(base, max_workers=9), 9),
    ):
        assert totals(VastReading.UTILISATION.policy(limits), view()) == [total]


def test_cold_workers_are_kept_for_an_hour() -> None:
    """Six workers were wanted once. They exist for an hour after that, though no more are active."""
    policy = VastReading.UTILISATION.policy(PARAMETERS)
    assert totals(policy, view(0, new_load=180), view(3000), view(3700)) == [6, 6, 0]


def test_slower_workers_are_more_workers() -> None:
    """A capacity of 4 needs eight workers that do half a unit a second."""
    limits = replace(PARAMETERS, min_load=4.0)
    assert active(VastReading.UTILISATION.policy(limits), view(worker_perf=0.5)) == [8]


def test_b_adds_workers_while_the_queue_is_too_long() -> None:
    """Two workers have 18 s of work each, more than 10 s. 36 units in 10 s need 3.6 more units a second: 4 workers."""
    policy = VastReading.QUEUE.policy(PARAMETERS)
    assert active(policy, view(ready=2, current_load=30, waiting_load=6)) == [4]
    calm = VastReading.QUEUE.policy(PARAMETERS)
    assert active(calm, view(ready=2, current_load=20)) == [1]


def test_b_takes_a_fleet_without_workers_as_too_long_a_queue() -> None:
    """No worker is ready and 25 units wait: 2.5 units a second do them in 10 s."""
    assert active(VastReading.QUEUE.policy(PARAMETERS), view(waiting=1, waiting_load=25)) == [3]


def test_b_by_age_counts_only_requests_in_the_router() -> None:
    """The same work at the workers is no queue. A request that has waited for 11 s in the router is one."""
    policy = VastReading.QUEUE_AGE.policy(PARAMETERS)
    busy = view(ready=2, current_load=36, in_progress=3)
    assert active(policy, busy) == [1]
    late = view(5, ready=2, current_load=30, waiting_load=6, waiting=1, oldest_wait_s=11)
    assert active(policy, late) == [4]


def test_c_prepares_for_the_busiest_horizon() -> None:
    """50 units in 5 s are 10 a second. The horizon of 10 s has seen 39 % of that, so it wants 7.87 units a second."""
    policy = VastReading.FORECAST.policy(PARAMETERS)
    assert active(policy, view(new_load=50)) == [8]


def test_c_works_off_the_backlog_in_a_minute() -> None:
    """Two workers may have 10 s of work each. Of 200 units, 180 are too much: 3 units a second do them in a minute."""
    policy = VastReading.FORECAST.policy(PARAMETERS)
    assert active(policy, view(ready=2, current_load=120, waiting_load=80)) == [3]


def test_c_keeps_workers_for_five_minutes() -> None:
    """The load ends at once. Eight workers stay for 300 s."""
    policy = VastReading.FORECAST.policy(PARAMETERS)
    wanted = active(policy, view(0, new_load=50), *(view(5.0 * tick) for tick in range(1, 63)))
    assert wanted[:61] == [8] * 61
    assert wanted[61] < 8

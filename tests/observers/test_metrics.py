"""Events become metrics, each counted once, with a limited number of label values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from worker.events import (
    CostDiffered,
    EngineConnected,
    Event,
    JobFinished,
    JobPredicted,
    JobSubmitted,
    LoadReported,
    MachineSlowed,
    NodeRan,
    NodeStarted,
    Observers,
    RequestRefused,
    RunEnded,
    StateChanged,
)
from worker.job import JobRef, JobState
from worker.observers.engine_use import EngineUse
from worker.observers.metric_specs import JOB_BUCKETS, LIVE, RECORDED, MetricType
from worker.observers.metrics import MOST_VALUES, Metrics
from worker.observers.run_times import RunMetrics, RunTimes
from worker.observers.snapshot import Snapshot

NOW = Snapshot(
    running=1,
    waiting=2,
    delivering=3,
    load_units=4.5,
    queue_work_s=6.0,
    engines_connected=1,
    engines_away=0,
    disk_free=7,
    set_aside=8,
    ready=True,
)
STAGES = ((JobState.QUEUED, 0.5), (JobState.WAITING, 1.5), (JobState.GENERATING, 3.0), (JobState.DELIVERING, 1.0))


def ref(name: str) -> JobRef:
    """Return a reference to a job."""
    return JobRef(name, "alice", f"job-{name}")


def finished(state: JobState = JobState.COMPLETED, stages: object = STAGES, **more: object) -> JobFinished:
    """Return the event of a finished job."""
    return JobFinished(ref("a"), state, 6.0, stages, **more)  # type: ignore[arg-type]


def page(events: Iterable[Event] = (), accept: str = "") -> str:
    """Return the metrics page after these events."""
    metrics = Metrics(["flux-schnell"])
    observers = Observers([metrics, RunMetrics(metrics)])
    for event in events:
        observers.notify(event)
    return metrics.render(NOW, accept)[0].decode()


def test_the_times_of_a_job() -> None:
    """Duration, stages and queue time are histograms with the template as label."""
    text = page([finished(template="flux-schnell")])
    assert 'comfy_worker_jobs_total{code="",state="completed"} 1.0' in text
    assert 'comfy_worker_job_duration_seconds_sum{template="flux-schnell"} 6.0' in text
    assert 'comfy_worker_job_stage_seconds_sum{stage="generating",template="flux-schnell"} 3.0' in text
    assert "comfy_worker_job_queue_seconds_sum 2.0" in text


def test_a_second_delivery_is_not_a_second_job() -> None:
    """The second delivery of a job is counted by state, and its times are not observed again."""
    waits = (*STAGES, (JobState.DELIVERY_PENDING, 100.0))
    text = page([finished(JobState.DELIVERY_PENDING, code="delivery_failed"), finished(stages=waits)])
    assert 'comfy_worker_jobs_total{code="delivery_failed",state="delivery_pending"} 1.0' in text
    assert 'comfy_worker_jobs_total{code="",state="completed"} 1.0' in text
    assert 'comfy_worker_job_duration_seconds_count{template="other"} 1.0' in text


def test_labels_are_bounded() -> None:
    """Unknown templates, and classes and routes after the first hundred, are `other`."""
    events: list[Event] = [finished(template=f"mine-{number}") for number in range(300)]
    events += [NodeStarted(ref("a"), "1", f"Class{number}", "title") for number in range(300)]
    events += [RequestRefused(f"/{number}", "native", "not_found", 404) for number in range(300)]
    text = page(events)
    assert set(re.findall(r'template="([^"]*)"', text)) == {"other"}
    for label in ("class", "route"):
        values = set(re.findall(rf'{label}="([^"]*)"', text))
        assert len(values) == MOST_VALUES + 1
        assert "other" in values


def test_nothing_of_a_caller_is_in_the_page() -> None:
    """The page has no id, folder, caller or title of a node."""
    job = JobRef("secret-id", "alice", "job-secret")
    text = page(
        [
            NodeStarted(job, "17", "KSampler", "my private title"),
            RunEnded(job),
            JobFinished(job, JobState.COMPLETED, 1.0),
        ]
    )
    assert 'class="KSampler"' in text
    assert not [word for word in ("secret", "alice", "private", '"17"') if word in text]


def test_the_live_numbers() -> None:
    """Gauges have the values at the time of the scrape."""
    text = page()
    assert "comfy_worker_jobs_running 1.0" in text
    assert "comfy_worker_jobs_waiting 2.0" in text
    assert "comfy_worker_queue_work_seconds 6.0" in text
    assert 'comfy_worker_engines{state="connected"} 1.0' in text
    assert "comfy_worker_ready 1.0" in text


def test_the_autoscalers_numbers_come_with_its_first_report() -> None:
    """Gauges of the autoscaler exist only after its first report."""
    assert "reported_load" not in page()
    text = page([LoadReported(True, 120.0, 40.0), LoadReported(False, 80.0, 40.0)])
    assert 'comfy_worker_autoscaler_reports_total{result="taken"} 1.0' in text
    assert "comfy_worker_reported_load_units 80.0" in text
    assert "comfy_worker_max_perf_units 40.0" in text


def test_both_formats() -> None:
    """The page is OpenMetrics if it is accepted in any version, else Prometheus' text format."""
    metrics = Metrics([])
    for accept, kind in {
        "application/openmetrics-text; version=1.0.0": "application/openmetrics-text",
        "application/openmetrics-text; version=x": "application/openmetrics-text",
        "text/html": "text/plain",
        "": "text/plain",
    }.items():
        body, content_type = metrics.render(NOW, accept)
        assert content_type.startswith(kind)
        assert body.endswith(b"# EOF\n") == (kind != "text/plain")


def test_two_workers_of_a_process_count_apart() -> None:
    """Two workers in one process have separate metrics."""
    first, second = Metrics([]), Metrics([])
    Observers([first]).notify(finished())
    assert b"comfy_worker_jobs_total{" in first.render(NOW, "")[0]
    assert b"comfy_worker_jobs_total{" not in second.render(NOW, "")[0]


def test_names_and_buckets_follow_the_conventions() -> None:
    """Names follow the conventions of Prometheus, and histograms of jobs reach an hour."""
    for spec in (*RECORDED, *LIVE):
        assert spec.help.endswith(".")
        assert spec.name.endswith("_total") == (spec.type is MetricType.COUNTER)
        assert bool(spec.buckets) == (spec.type is MetricType.HISTOGRAM)
        if spec.type is MetricType.HISTOGRAM:
            assert spec.name.endswith(("_seconds", "_ratio"))
    assert JOB_BUCKETS == (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def submitted(name: str) -> JobSubmitted:
    """Return the event of a submitted job."""
    return JobSubmitted(ref(name), "engine-0", f"prompt-{name}")


def test_the_gap_between_two_runs() -> None:
    """The idle time of a GPU counts only while another job waits inside the same ComfyUI."""
    runs = RunTimes()
    runs.submitted(submitted("a"))
    assert runs.started(ref("a"), 10.0) is None
    runs.submitted(submitted("b"))
    runs.ended(ref("a"), 20.0)
    assert runs.started(ref("b"), 20.5) == 0.5
    runs.ended(ref("b"), 30.0)
    runs.submitted(submitted("c"))
    assert runs.started(ref("c"), 90.0) is None


def test_a_start_that_is_seen_before_the_end_is_no_gap() -> None:
    """A start that is observed before the previous end is no gap."""
    runs = RunTimes()
    for name in "abc":
        runs.submitted(submitted(name))
    runs.started(ref("a"), 10.0)
    assert runs.started(ref("b"), 20.0) == 0.0
    runs.ended(ref("a"), 20.1)
    runs.ended(ref("b"), 30.0)
    assert runs.started(ref("c"), 30.25) == 0.25


def test_a_job_that_leaves_while_it_waits_ends_the_gap() -> None:
    """A gap ends when no job waits any more."""
    runs = RunTimes()
    for name in "ab":
        runs.submitted(submitted(name))
    runs.started(ref("a"), 10.0)
    runs.ended(ref("a"), 20.0)
    runs.submitted(JobSubmitted(ref("b"), "engine-0", None))
    runs.submitted(submitted("c"))
    assert runs.started(ref("c"), 50.0) is None


def test_the_times_of_nodes() -> None:
    """A node lasts until the next one starts or the run ends. Lost runs do not count."""
    runs = RunTimes()
    runs.submitted(submitted("a"))
    assert runs.node_started(NodeStarted(ref("a"), "1", "Load", ""), 1.0) is None
    assert runs.node_started(NodeStarted(ref("a"), "2", "Sample", ""), 3.0) == ("Load", 2.0)
    runs.submitted(submitted("a"))
    assert runs.node_started(NodeStarted(ref("a"), "1", "Load", ""), 9.0) is None
    assert runs.ended(ref("a"), 10.0) == ("Load", 1.0)


def test_a_gap_is_observed() -> None:
    """The start of a run adds the gap before it to the histogram."""
    started = [StateChanged(ref(name), JobState.GENERATING, JobState.WAITING, 1.0) for name in "ab"]
    text = page([submitted("a"), submitted("b"), started[0], RunEnded(ref("a")), started[1]])
    assert 'comfy_worker_gpu_gap_seconds_count{engine="engine-0"} 1.0' in text


def predicted(seconds: float, template: str = "flux-schnell", *, cold: bool = False) -> JobPredicted:
    """Return the event of a run that was predicted to take 10 s, and at most 14 s in nine of ten cases."""
    return JobPredicted(ref("a"), "engine-0", template, "flux", seconds, 10.0, 14.0, cold=cold)


def test_predictions_are_compared_with_what_happened() -> None:
    """The predicted time, the ratio and the share within the 90 % quantile are observed, loads apart from the rest."""
    text = page([predicted(12.0), predicted(15.0), predicted(30.0, "private", cold=True)])
    warm = 'cold="false",template="flux-schnell"'
    assert f"comfy_worker_predicted_seconds_sum{{{warm}}} 20.0" in text
    assert f"comfy_worker_prediction_ratio_sum{{{warm}}} 2.7" in text
    assert 'comfy_worker_prediction_ratio_count{cold="true",template="other"} 1.0' in text
    assert 'comfy_worker_predictions_total{within_p90="true"} 1.0' in text
    assert 'comfy_worker_predictions_total{within_p90="false"} 2.0' in text


def test_a_run_of_cached_nodes_has_no_ratio() -> None:
    """A run that was predicted to take no time cannot be divided by its prediction."""
    text = page([JobPredicted(ref("a"), "engine-0", None, "", 0.1, 0.0, 0.0)])
    assert "comfy_worker_prediction_ratio_count" not in text
    assert 'comfy_worker_predicted_seconds_count{cold="false",template="other"} 1.0' in text


def test_the_cost_of_a_client_is_compared() -> None:
    """A client that tells the router another cost than the worker's is counted with the ratio."""
    text = page([CostDiffered(ref("a"), 100.0, 25.0), CostDiffered(ref("b"), 100.0, 0.0)])
    assert "comfy_worker_client_cost_ratio_sum 4.0" in text
    assert "comfy_worker_client_cost_ratio_count 1.0" in text


def test_loads_of_models_are_observed_by_tier() -> None:
    """A node that loaded models is counted where they came from, and other nodes are not."""
    node = ("engine-0", "3", "KSampler", "sampler", "sdxl", 9.0, 2.0, 2.5)
    cold = NodeRan(ref("a"), *node, cold=True, load_tier="disk", load_s=6.5)
    text = page([cold, NodeRan(ref("a"), *node)])
    assert 'comfy_worker_model_loads_total{tier="disk"} 1.0' in text
    assert 'comfy_worker_model_load_seconds_sum{tier="disk"} 6.5' in text
    assert "comfy_worker_model_load_seconds_count{tier=" in text
    assert text.count("comfy_worker_model_loads_total{") == 1


def test_the_cost_of_busy_and_idle_time() -> None:
    """With a price for a GPU, the seconds of all engines have a cost. Without one there is no such metric."""
    uses = (EngineUse("engine-0", 1800.0, 900.0), EngineUse("engine-1", 1800.0, 0.0))
    text = Metrics([]).render(replace(NOW, engine_uses=uses, usd_hour=0.4), "")[0].decode()
    assert 'comfy_worker_cost_usd_total{use="busy"} 0.4' in text
    assert 'comfy_worker_cost_usd_total{use="idle"} 0.1' in text
    assert "cost_usd" not in Metrics([]).render(replace(NOW, engine_uses=uses), "")[0].decode()


def test_an_engine_that_has_slowed_down_is_counted() -> None:
    """Each lasting slowdown counts for its engine."""
    assert 'comfy_worker_machine_slowed_total{engine="engine-1"} 1.0' in page([MachineSlowed("engine-1", 1.7)])


def test_the_use_of_an_engine_is_a_counter() -> None:
    """Busy and idle seconds are counters with the engine as label."""
    metrics = Metrics([])
    Observers([metrics.engine_uses]).notify(EngineConnected("engine-0"))
    snapshot = replace(NOW, engine_uses=metrics.engine_uses.times(), slowdowns={"engine-0": 1.25})
    text = metrics.render(snapshot, "")[0].decode()
    assert 'comfy_worker_gpu_busy_seconds_total{engine="engine-0"} 0.0' in text
    assert "# TYPE comfy_worker_gpu_idle_seconds_total counter" in text
    assert 'comfy_worker_machine_slowdown_ratio{engine="engine-0"} 1.25' in text

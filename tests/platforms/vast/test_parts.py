"""Parts of the adapter: settings, score file, failure report, logging."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from worker.errors import StartupError
from worker.load.throughput import DoneWork, Throughput
from worker.load.workload import workload
from worker.platforms.registry import choose
from worker.platforms.vast.benchmark.benchmark import Benchmark
from worker.platforms.vast.benchmark.choice import PACKAGED
from worker.platforms.vast.benchmark.workflow import read_workflow
from worker.platforms.vast.reporting.failure_report import report_body
from worker.platforms.vast.reporting.speed_file import SPEEDS, SpeedFile
from worker.platforms.vast.sdk_logging import preserve_root_logger
from worker.platforms.vast.settings import VastSettings
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.templates.fill import fill
from worker.workflow.templates.library import read_library

LIBRARY = read_library("shipped")
ENV = {
    "CONTAINER_ID": "42",
    "PUBLIC_IPADDR": "203.0.113.7",
    "WORKER_PORT": "3000",
    "VAST_TCP_PORT_3000": "41000",
    "REPORT_ADDR": "https://run.vast.ai/, https://spare.example",
    "USE_SSL": "true",
}


def test_settings_come_from_vasts_variables() -> None:
    """The public URL has the mapped port, and the key comes from the first address (T8)."""
    settings = VastSettings.from_env(ENV)
    assert settings.public_url == "https://203.0.113.7:41000"
    assert settings.autoscaler == "https://run.vast.ai"
    assert (settings.container_id, settings.http_port) == (42, 3001)


def test_what_a_template_need_not_set_has_vasts_defaults() -> None:
    """Unset variables have Vast's defaults, which the SDK gets too."""
    settings = VastSettings.from_env(
        {"CONTAINER_ID": "42", "PUBLIC_IPADDR": "203.0.113.7", "VAST_TCP_PORT_3000": "41000"}
    )
    assert settings.public_url == "https://203.0.113.7:41000"
    assert settings.for_sdk == {
        "WORKER_PORT": "3000",
        "WORKER_HTTP_PORT": "3001",
        "REPORT_ADDR": "https://run.vast.ai",
        "USE_SSL": "true",
    }


def test_auto_selects_vast_by_its_variables() -> None:
    """`auto` selects Vast only with both variables, and a named platform stays."""
    assert choose("auto", ENV).platform.name == "vast"
    assert choose("none", ENV).platform.name == "none"
    half = choose("auto", {"CONTAINER_ID": "42"})
    assert half.platform.name == "none"
    assert half.reason.startswith("Vast's PUBLIC_IPADDR not set; ")


def test_a_failure_report_needs_only_the_instance_number() -> None:
    """A failure report needs only the instance's number."""
    assert report_body({"CONTAINER_ID": "7"}, "why") == {
        "id": 7,
        "mtoken": "",
        "version": "0",
        "error_msg": "why",
        "url": "",
    }
    whole = report_body(ENV, "x" * 9000)
    assert whole is not None
    assert (whole["url"], len(str(whole["error_msg"]))) == ("https://203.0.113.7:41000", 2000)
    assert report_body({"CONTAINER_ID": ""}, "why") is None


@pytest.mark.parametrize(("name", "text"), [("CONTAINER_ID", "x"), ("WORKER_BENCHMARK_TIMEOUT", "soon")])
def test_a_setting_that_cannot_be_read_is_named(name: str, text: str) -> None:
    """The error for an invalid setting has the variable and its value."""
    with pytest.raises(StartupError, match=f"{name}='{text}'"):
        VastSettings.from_env({**ENV, name: text})


def test_every_setting_is_in_the_table() -> None:
    """Each setting has a sentence for the docs."""
    rows = list(VastSettings.table())
    assert len(rows) == len(VastSettings.__slots__)
    assert all(help_text for _, _, help_text in rows)


def test_speeds_are_good_for_their_image_gpu_driver_and_workflow_only(tmp_path: Path) -> None:
    """Stored speeds are not used for another image, GPU, driver or workflow, or from a damaged file."""
    benchmark = Benchmark(read_workflow(PACKAGED, LIBRARY), 1, 1.0)
    conditions = ("sha256:a", "RTX 4090", "550.54")
    key, measured = benchmark.key(*conditions), Throughput()
    measured.start("engine-0", [DoneWork(51.5, 1.0)], 0.0)
    SpeedFile(tmp_path, key).write(measured, 0.0)
    others = [(*conditions[:index], "other", *conditions[index + 1 :]) for index in range(3)]
    keys = [benchmark.key(*other) for other in others]
    keys.append(Benchmark(read_workflow("sdxl", LIBRARY), 1, 1.0).key(*conditions))
    assert not any(SpeedFile(tmp_path, other).restore(Throughput(), 0.0) for other in keys)
    restored = Throughput()
    assert SpeedFile(tmp_path, key).restore(restored, 0.0)
    assert restored.units_per_s("engine-0", 0.0) == 51.5
    (tmp_path / SPEEDS).write_text("51.5")
    assert not SpeedFile(tmp_path, key).restore(Throughput(), 0.0)


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_an_invalid_benchmark_file_is_named(tmp_path: Path, text: str | None) -> None:
    """A missing or invalid benchmark file is named in the error."""
    path = tmp_path / "bench.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StartupError, match=r"WORKER_BENCHMARK.*bench\.json"):
        read_workflow(str(path), {})


def test_the_root_logger_stays_as_it_was() -> None:
    """The SDK's changes of the root logger are undone (T29)."""
    root = logging.getLogger()
    before = (root.level, [(handler, handler.level) for handler in root.handlers])
    added = logging.NullHandler()
    with preserve_root_logger():
        root.setLevel(logging.DEBUG)
        for handler in root.handlers:
            handler.setLevel(logging.DEBUG)
        root.addHandler(added)
    assert (root.level, [(handler, handler.level) for handler in root.handlers]) == before


@pytest.mark.parametrize("name", LIBRARY)
def test_a_client_computes_the_units_of_a_template(name: str) -> None:
    """A client, which has no catalog, computes the same units as a worker, for every template with its defaults."""
    template = LIBRARY[name]
    files = {parameter.name: "a.png" for parameter in template.parameters if parameter.type.is_file}
    prompt = fill(template, files, lambda _: 1).prompt
    assert workload(prompt) == workload(prompt, bundled_catalog())

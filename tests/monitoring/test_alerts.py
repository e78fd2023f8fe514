"""The alert rules are valid, are tested, name metrics that exist, and lead to a page that says what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, headings_of
from tests.monitoring.committed import RULE_TESTS, RULES, alerts, unknown_names
from tests.monitoring.prometheus_server import run

ALERTS = alerts()
TESTS = yaml.safe_load(RULE_TESTS.read_text("utf-8"))
PAGE = ROOT / "docs" / "monitoring.md"
COMPARISON = re.compile(r"\s*(?:==|>=|<=|>|<)\s*[\d.]+(?:\s*\*\s*\d+)*")


def test_names_are_unique() -> None:
    """Every alert has a name of its own, which begins with ComfyWorker."""
    names = [rule["alert"] for rule in ALERTS]
    assert len(set(names)) == len(names) >= 10
    assert all(name.startswith("ComfyWorker") for name in names)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_names_what_the_worker_has(rule: dict[str, Any]) -> None:
    """The metrics and labels of the expression are in metric_specs."""
    assert "comfy_worker_" in rule["expr"]
    assert unknown_names(rule["expr"]) == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """An alert has a severity, two sentences, and its name is a heading of docs/monitoring.md, which it names."""
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook"}
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    page, _, anchor = notes["runbook"].partition("#")
    assert ROOT / page == PAGE
    assert anchor == rule["alert"].lower()
    assert anchor in headings_of(PAGE)


def test_the_page_has_no_other_alerts() -> None:
    """docs/monitoring.md describes each alert once, in the order of the file."""
    named = re.findall(r"^### (ComfyWorker\w+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert named == [rule["alert"] for rule in ALERTS]


def cases_of(alert: str) -> list[dict[str, Any]]:
    """Return the tests of one alert."""
    found = []
    for group in TESTS["tests"]:
        of_alert = [test for test in group["alert_rule_test"] if test["alertname"] == alert]
        found += [{**group, "alert_rule_test": of_alert}] if of_alert else []
    return found


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_fires_in_a_test(rule: dict[str, Any]) -> None:
    """The tests of promtool have a time at which the alert fires."""
    assert any(test["exp_alerts"] for group in cases_of(rule["alert"]) for test in group["alert_rule_test"])


@pytest.mark.tools("promtool")
async def test_promtool_accepts_the_rules() -> None:
    """`promtool check rules` reports no error."""
    status, output = await run("promtool", "check", "rules", RULES)
    assert status == 0, output
    assert f"{len(ALERTS)} rules found" in output


@pytest.mark.tools("promtool")
async def test_the_tests_of_the_rules_pass() -> None:
    """`promtool test rules` passes."""
    status, output = await run("promtool", "test", "rules", RULE_TESTS)
    assert status == 0, output


def changes(rule: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an alert that never fires, one without its thresholds, and one that fires at once, if it waits."""
    changed = {
        "never": {**rule, "expr": f"({rule['expr']}) and on () vector(0) > 1"},
        "anything": {**rule, "expr": COMPARISON.sub("", rule["expr"])},
        "at-once": {name: value for name, value in rule.items() if name != "for"},
    }
    return {name: other for name, other in changed.items() if other != rule}


@pytest.mark.tools("promtool")
async def test_the_tests_of_the_rules_notice_changes(tmp_path: Path) -> None:
    """`promtool test rules` fails for each alert that never fires, has no thresholds, or does not wait."""
    files = []
    for rule in ALERTS:
        for name, changed in changes(rule).items():
            file = tmp_path / f"{rule['alert']}-{name}.yml"
            file.write_text(yaml.safe_dump({"groups": [{"name": "changed", "rules": [changed]}]}))
            files.append(file.with_suffix(".test.yml"))
            files[-1].write_text(yaml.safe_dump({**TESTS, "rule_files": [file.name], "tests": cases_of(rule["alert"])}))
    status, output = await run("promtool", "test", "rules", *files)
    assert status == 1
    results = output.split("Unit Testing:")[1:]
    assert len(results) == len(files) > 2 * len(ALERTS)
    assert [one.split()[0] for one in results if "FAILED" not in one] == []

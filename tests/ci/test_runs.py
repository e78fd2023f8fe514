"""What a run reads about itself: newer runs, waiting runs and its times."""

from __future__ import annotations

import pytest

from tests.ci.hub import hub

RUNS = "actions/workflows/deploy.yml/runs?branch=main&event=push&per_page=5"


@pytest.mark.parametrize(("number", "said"), [("12", "yes"), ("11", "no"), ("13", "yes")])
async def test_a_run_knows_whether_it_is_the_newest(number: str, said: str) -> None:
    """A run is the newest unless GitHub lists a newer one."""
    async with hub() as found:
        found.answers[RUNS] = {"workflow_runs": [{"run_number": 12}, {"run_number": 11}]}
        assert await found.script("ci.newest", "deploy.yml", GITHUB_RUN_NUMBER=number) == said


async def test_deployments_that_wait_make_way_for_a_rollback() -> None:
    """Waiting deployments are cancelled, the pending ones first; one that has ended is no error."""
    listed = "actions/workflows/deploy.yml/runs?branch=main&event=push&status={}"
    async with hub() as found:
        found.answers[listed.format("waiting")] = {"workflow_runs": [{"id": 1, "html_url": "/1"}]}
        found.answers[listed.format("pending")] = {
            "workflow_runs": [{"id": 2, "html_url": "/2"}, {"id": 3, "html_url": "/3"}]
        }
        found.answers["/repos/us/fleet/actions/runs/3/cancel"] = 409
        told = await found.script("ci.waiting", "deploy.yml")
    assert told.splitlines() == ["- cancelled: /2", "- cancelled: /1"]
    assert found.posts == [f"/repos/us/fleet/actions/runs/{number}/cancel" for number in (2, 3, 1)]


def part(name: str, began: str | None, ended: str | None, conclusion: str | None = "success") -> dict[str, object]:
    whole = [moment and f"2026-01-01T00:{moment}Z" for moment in (began, ended)]
    return {"name": name, "started_at": whole[0], "completed_at": whole[1], "conclusion": conclusion}


async def test_the_time_of_a_run_is_told_by_step() -> None:
    """The table has the steps by start time, without skipped, running and short ones."""
    image = part("image / build", "00:10", "02:00")
    image["steps"] = [
        part("room", "00:12", "00:12"),
        part("build", "00:20", "01:50"),
        part("no", None, None, "skipped"),
    ]
    apply = part("apply", "02:30", "04:00") | {"steps": []}
    jobs = [part("times", "04:05", None, None), apply, image, part("comment", None, None, "skipped")]
    async with hub() as found:
        found.answers["actions/runs/5/attempts/1"] = {"created_at": "2026-01-01T00:00:00Z"}
        found.answers["actions/runs/5/attempts/1/jobs?per_page=100"] = {"jobs": jobs}
        table = await found.script("ci.times", GITHUB_RUN_ID="5", GITHUB_RUN_ATTEMPT="1")
    assert table.splitlines()[2:] == [
        "| **image / build** | 10 s | 110 s |",
        "| &emsp;build | 20 s | 90 s |",
        "| **apply** | 150 s | 90 s |",
    ]

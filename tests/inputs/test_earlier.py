"""Earlier outputs as inputs, with several engines that have their own output folders."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import SecretStr

from tests.conftest import bearer
from tests.engine.supervised import Supervised, supervised
from tests.inputs.files import loading, png
from tests.workflows import Workflow, slow

NAME = "shared/mine_00001_.png [output]"
TOKENS = {"ann": "a" * 32, "bob": "b" * 32}
OPENED = {"gpus": "2", "input_folders": "output/shared, temp"}


def sized(width: int) -> Workflow:
    """Return a workflow for an image of this width that runs long enough to overlap with another."""
    workflow = slow(0.4)
    workflow["1"]["inputs"]["width"] = width
    workflow["2"]["inputs"]["filename_prefix"] = "shared/mine"
    return workflow


async def first_image_width(worker: Supervised, workflow: Workflow, who: str) -> tuple[int, object]:
    """Return the status and the width of the first image, or the error code."""
    status, body = await worker.post("/generate/sync", {"workflow": workflow}, **bearer(TOKENS[who]))
    return status, body["outputs"][0]["width"] if status == 200 else body["error"]["code"]


async def test_the_callers_own_file_is_found_on_any_engine(tmp_path: Path) -> None:
    """Each of two callers gets their own file of the same name, on either engine."""
    tokens = SecretStr(",".join(f"{name}={token}" for name, token in TOKENS.items()))
    async with supervised(tmp_path, tokens=tokens, **OPENED) as worker:
        await worker.app.engines.wait_until_settled()
        both = await asyncio.gather(
            first_image_width(worker, sized(72), "ann"), first_image_width(worker, sized(88), "bob")
        )
        assert both == [(200, 72), (200, 88)]
        folders = [engine.config.output for engine in worker.app.engines.engines]
        assert all((folder / "shared" / "mine_00001_.png").is_file() for folder in folders if folder)
        for _ in range(2):
            jobs = [first_image_width(worker, loading(NAME), who) for who in ("ann", "bob", "ann", "bob")]
            assert await asyncio.gather(*jobs) == [(200, 72), (200, 88)] * 2
    assert not list((tmp_path / "engine" / "input").iterdir())


async def test_an_opened_file_is_found_in_every_engines_folder(tmp_path: Path) -> None:
    """The newest file of an opened folder is found. A name that leads out of the folder, or to no file, is refused."""
    async with supervised(tmp_path, **OPENED) as worker:
        await worker.app.engines.wait_until_settled()
        folders = [engine.config.output for engine in worker.app.engines.engines]
        for width, folder in zip((30, 50), folders, strict=True):
            assert folder is not None
            (folder / "shared").mkdir(parents=True)
            (folder / "shared" / f"{width}.png").write_bytes(png(width, 20))
            (folder / "shared" / "both.png").write_bytes(png(width, 20))
            (folder / "closed.png").write_bytes(png(width, 20))
        (tmp_path / "secret.png").write_bytes(png())
        (folders[1] / "shared" / "link.png").symlink_to(tmp_path / "secret.png")  # type: ignore[operator]
        for name, width in (("shared/30.png", 30), ("shared/50.png", 50), ("shared/both.png", 50)):
            status, body = await worker.post("/generate/sync", {"workflow": loading(f"{name} [output]")})
            assert (status, body["outputs"][0]["width"]) == (200, width)
        for name in ("closed.png", "shared/../closed.png"):
            status, body = await worker.post("/generate/sync", {"workflow": loading(f"{name} [output]")})
            assert (status, body["error"]["code"]) == (422, "file_not_allowed")
        # The engine that has the link may not read what it leads to, and the other one has no such file.
        for name, codes in (("link", {"node_failed", "invalid_workflow"}), ("nothing", {"invalid_workflow"})):
            status, body = await worker.post("/generate/sync", {"workflow": loading(f"shared/{name}.png [output]")})
            assert status == 422
            assert body["error"]["code"] in codes

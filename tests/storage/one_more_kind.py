"""An additional kind of storage in one file: a folder on a disk that the worker and its clients share.

As a program it runs a request that names such a folder, and prints the response as JSON. The first argument is the
path of the shared disk.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from pydantic import Field

from worker.delivery_options import DeliveryTarget
from worker.errors import TargetNotAllowed
from worker.events import DeliveryMethod
from worker.fetch.guard import Guard
from worker.job import Job, Output
from worker.settings import Settings
from worker.storage import registry
from worker.storage.kind import StorageKind

SHARE = Path(sys.argv[1]) if __name__ == "__main__" else Path()


@dataclass(frozen=True, slots=True)
class SharedFolder(DeliveryTarget):
    """A target that is also its own `Storage`: it copies outputs to a folder of the share."""

    name: str
    external = True

    async def put(self, job: Job, output: Output, path: Path) -> str:
        target = SHARE / self.name / output.filename
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
        return target.as_uri()


class SharedFolders:
    """The `StorageProvider` for shared folders."""

    def check(self, target: SharedFolder) -> None:
        if not target.name.isalnum():
            raise TargetNotAllowed(f"{target.name!r} is not a valid name of a folder")

    def open(self, target: SharedFolder, _: Sequence[Output]) -> SharedFolder:
        return target

    def operator_storage(self) -> None:
        """Return None, because the operator has no shared folder."""


@asynccontextmanager
async def provider(_: Settings, __: Guard) -> AsyncIterator[SharedFolders]:
    yield SharedFolders()


registry.KINDS += (
    StorageKind(
        "folder",
        (str, Field(description="In the share.")),
        SharedFolder,
        SharedFolder,
        DeliveryMethod.CLIENT_BUCKET,
        provider,
    ),
)


async def main() -> None:
    from tests.workflows import picture  # these read the registry
    from worker.app import build

    settings = Settings.of(comfyui="embedded", port=0, state=SHARE / "state")
    async with build(settings) as app, aiohttp.ClientSession() as http:
        await app.ready()

        async def asked(**more: str) -> dict:
            async with http.post(f"{app.url}/generate/sync", json={"workflow": picture(), **more}) as answer:
                return await answer.json()

        async with http.get(f"{app.url}/openapi.json") as answer:
            schema = (await answer.json())["components"]["schemas"]["NativeRequest"]["properties"]["folder"]
        found = {"stored": await asked(folder="mine"), "refused": await asked(folder="../x"), "schema": schema}
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())

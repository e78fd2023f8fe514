"""What the worker keeps for ComfyUI's clients. All ports that serve ComfyUI's API share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from worker.api.comfy.prompts import Prompts
from worker.api.comfy.uploads import Uploads
from worker.engine.pool import EnginePool
from worker.jobs.job_index import JobIndex
from worker.jobs.manager import JobManager
from worker.settings import Settings
from worker.supervision import Tasks

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ComfyClients:
    """The prompts and the uploads of all callers."""

    prompts: Prompts
    uploads: Uploads

    @classmethod
    async def of(cls, settings: Settings, jobs: JobIndex, engines: EnginePool, tasks: Tasks) -> Self:
        """Return the empty state, after the uploads of an earlier process were removed."""
        outputs = settings.outputs
        uploads = Uploads(settings.state / "uploads", outputs.result_ttl_s, outputs.quota * MIB)
        await uploads.clear()
        tasks.start("uploads", uploads.sweep_periodically)
        return cls(Prompts(jobs, lambda: engines.known_catalog), uploads)

    async def restore(self, manager: JobManager) -> None:
        """Restore the jobs of an earlier process, and the prompts among them. Raises StartupError."""
        await manager.restore()
        self.prompts.restore()

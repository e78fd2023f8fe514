"""Computes the work of prompts with what this worker knows: the engine's catalog and the sizes of its model files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.engine.pool import EnginePool
from worker.load.features.content_size import Size
from worker.load.node_work import JobWork
from worker.load.work import job_work
from worker.models.sizes import ModelSizes
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.model_needs import Downloads, ModelNeed, needed_models
from worker.workflow.prompt import Prompt
from worker.workflow.walk import run_off_loop_if_large

NO_SIZES: Mapping[str, Size] = {}
NO_DOWNLOADS: Downloads = {}


@dataclass(frozen=True, slots=True)
class PromptWork:
    """Computes the work of prompts."""

    engines: EnginePool
    model_sizes: ModelSizes

    async def of(self, prompt: Prompt, sizes: Mapping[str, Size] = NO_SIZES) -> JobWork:
        """Return the work of a prompt, in a thread if it is large. `sizes` are those of input files, by their texts.

        Before a catalog is known, nodes that do not run count too.
        """
        catalog = self.engines.known_catalog
        if catalog is None:
            return await run_off_loop_if_large(prompt, lambda: job_work(prompt, None, sizes))
        return (await self.with_models(prompt, catalog, sizes))[1]

    async def with_models(
        self, prompt: Prompt, catalog: Catalog, sizes: Mapping[str, Size], known: Downloads = NO_DOWNLOADS
    ) -> tuple[list[ModelNeed], JobWork]:
        """Return the models that a prompt needs, and its work. `known` are sources of models."""

        def compute() -> tuple[list[ModelNeed], JobWork]:
            needs = list(needed_models(prompt, catalog, known))
            return needs, job_work(prompt, catalog, sizes, self.model_sizes.of(needs))

        return await run_off_loop_if_large(prompt, compute)

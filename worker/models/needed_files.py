"""The model files of one workflow, and what else it may need that can't be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.errors import CannotConvert
from worker.models.folder import ModelsFolder
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert, is_ui
from worker.workflow.embeddings import EMBEDDINGS, named_embeddings
from worker.workflow.loras import LORAS
from worker.workflow.model_needs import Downloads, ModelNeed, downloads_by_file, needed_models, saved_downloads
from worker.workflow.prompt import Prompt, parse_prompt
from worker.workflow.repairs import repair
from worker.workflow.templates.template import ModelFile
from worker.workflow.unseen_models import UnseenModel, unseen_models


@dataclass(frozen=True, slots=True)
class NeededFiles:
    """With `unseen`, files that are all there do not mean that the workflow `name` runs."""

    name: str
    files: Sequence[ModelFile]
    unseen: Sequence[UnseenModel] = ()


def needed_files(
    name: str, workflow: Mapping[str, object], catalog: Catalog, known: Downloads, place: ModelsFolder
) -> NeededFiles:
    """Look by the nodes; by what the editor saved of downloads where no prompt can be made of a file of the editor's.

    `known` are downloads that come before those. Raises PromptError for what is no workflow.
    """
    saved = list(saved_downloads(workflow))
    # As the nodes of packs find them, by a part of their names.
    catalog = catalog.with_files({LORAS: place.names(LORAS)})
    try:
        prompt = convert(workflow, catalog).prompt if is_ui(workflow) else parse_prompt(workflow)
        prompt = repair(prompt, catalog).prompt  # the names that a job would ask for
    except CannotConvert as error:
        details = error.details or ()
        unseen = [UnseenModel(one.message, one.node_id, one.class_type, one.input) for one in details]
        files = [known.get((file.folder, file.file), file) for file in saved]
        return NeededFiles(name, files, unseen or [UnseenModel(error.message)])
    needs = needed_models(prompt, catalog, {**downloads_by_file(saved), **known})
    files = [_file(need, place) for need in needs]
    return NeededFiles(
        name, [*files, *_embeddings(prompt, catalog, known, place)], list(unseen_models(prompt, catalog))
    )


def _file(need: ModelNeed, place: ModelsFolder) -> ModelFile:
    """Where it is, of several folders; else where it belongs."""
    if need.source is not None:
        return need.source
    there = (folder for folder in need.folders if place.size(folder, need.file) is not None)
    return ModelFile(need.file, next(there, need.folder))


def _embeddings(prompt: Prompt, catalog: Catalog, known: Downloads, place: ModelsFolder) -> list[ModelFile]:
    names = named_embeddings(prompt, catalog, place.names(EMBEDDINGS))
    return [known.get((EMBEDDINGS, name), ModelFile(name, EMBEDDINGS)) for name in names]

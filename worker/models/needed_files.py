"""The model files that one workflow needs."""

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
    """The model files of the workflow `name`.

    `unseen` are further models that it may need and that the worker cannot determine. If there are any, the workflow
    may fail even if all files are present.
    """

    name: str
    files: Sequence[ModelFile]
    unseen: Sequence[UnseenModel] = ()


def needed_files(
    name: str, workflow: Mapping[str, object], catalog: Catalog, known_downloads: Downloads, folder: ModelsFolder
) -> NeededFiles:
    """Return the model files that the nodes of a workflow need.

    If a workflow in the editor's format cannot be converted to a prompt, return the downloads that the editor saved in
    it. `known_downloads` take precedence over those. Raises PromptError if `workflow` is not a workflow.
    """
    saved = list(saved_downloads(workflow))
    # Nodes of packs find LoRAs by a part of their names, so the catalog needs the complete list.
    catalog = catalog.with_files({LORAS: folder.names(LORAS)})
    try:
        prompt = convert(workflow, catalog).prompt if is_ui(workflow) else parse_prompt(workflow)
        prompt = repair(prompt, catalog).prompt  # a job would use the repaired names
    except CannotConvert as error:
        details = error.details or ()
        unseen = [UnseenModel(detail.message, detail.node_id, detail.class_type, detail.input) for detail in details]
        files = [known_downloads.get((file.folder, file.file), file) for file in saved]
        return NeededFiles(name, files, unseen or [UnseenModel(error.message)])
    needs = needed_models(prompt, catalog, {**downloads_by_file(saved), **known_downloads})
    files = [_file_of_need(need, folder) for need in needs]
    files += _embeddings(prompt, catalog, known_downloads, folder)
    return NeededFiles(name, files, list(unseen_models(prompt, catalog)))


def _file_of_need(need: ModelNeed, folder: ModelsFolder) -> ModelFile:
    """Return the file of a need: its download if there is one, else the file in the first folder that has it.

    If no folder has it, it is expected in the default folder.
    """
    if need.source is not None:
        return need.source
    containing = (name for name in need.folders if folder.size(name, need.file) is not None)
    return ModelFile(need.file, next(containing, need.folder))


def _embeddings(prompt: Prompt, catalog: Catalog, known_downloads: Downloads, folder: ModelsFolder) -> list[ModelFile]:
    """Return the files of the embeddings that the texts of a prompt name."""
    names = named_embeddings(prompt, catalog, folder.names(EMBEDDINGS))
    return [known_downloads.get((EMBEDDINGS, name), ModelFile(name, EMBEDDINGS)) for name in names]

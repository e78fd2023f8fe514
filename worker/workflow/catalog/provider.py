"""Finds the node pack of a missing class, in the bundled catalog or in the workflow that the editor saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.prompt import unwrap

COMFYUI = "ComfyUI 0.33.0"
_WITH_COMFYUI = "websocket_image_save"
CORE_ID = "comfy-core"
"""Pack id that the editor saves for nodes of ComfyUI itself."""
LONGEST_ID = 100

_HOMES = {
    "RES4LYF": "https://github.com/ClownsharkBatwing/RES4LYF",
    "ControlAltAI-Nodes": "https://github.com/gseth/ControlAltAI-Nodes",
    "ComfyUI_InstantID": "https://github.com/cubiq/ComfyUI_InstantID",
    "ComfyUI_IPAdapter_plus": "https://github.com/cubiq/ComfyUI_IPAdapter_plus",
    "ComfyUI-VideoHelperSuite": "https://github.com/Kosinkadink/ComfyUI-VideoHelperSuite",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """A node pack: the name of its folder, and its repository. For ComfyUI itself `url` is empty."""

    name: str
    url: str = ""

    @classmethod
    def of_module(cls, module: str) -> Provider:
        """Return the provider of a class by its `python_module`, such as `custom_nodes.RES4LYF` or `nodes`."""
        family, _, name = module.partition(".")
        if family != "custom_nodes" or name == _WITH_COMFYUI:  # ComfyUI ships one file in custom_nodes
            return cls(COMFYUI)
        return cls(name, _HOMES.get(name, ""))

    @property
    def install_hint(self) -> str:
        """One or two sentences for the author of a workflow that uses a missing class of this pack."""
        if self.name == COMFYUI:
            return f"It comes with {COMFYUI}. This engine has another version."
        address = f" ({self.url})" if self.url else ""
        return f"The node pack {self.name}{address} provides it.{_install(self.url)}"


def provider_of(class_type: str) -> Provider | None:
    """Return the pack that provides a class, or None if the class is not in the bundled catalog."""
    catalog = bundled_catalog()
    return Provider.of_module(catalog[class_type].pack) if class_type in catalog else None


@dataclass(frozen=True, slots=True)
class PackId:
    """The pack of a node as the editor saves it: its id in ComfyUI's registry, or its repository `OWNER/NAME`."""

    registry_id: str = ""
    repository: str = ""
    version: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names that the pack's folder may have."""
        return tuple(filter(None, (self.registry_id, self.repository.rpartition("/")[2])))

    @property
    def install_hint(self) -> str:
        """One or two sentences for the author of a workflow that uses a missing class of this pack."""
        version = f" {self.version}" if self.version else ""
        if self.registry_id == CORE_ID:
            return f"The workflow was saved with ComfyUI{version}, which has it. This engine has another version."
        name = self.registry_id or self.repository
        return f"The workflow was saved with the node pack {name}{version}.{_install(self.repository)}"


PackIds = Mapping[str, PackId]
"""Pack ids by node class."""


def pack_ids(workflow: object) -> dict[str, PackId]:
    """Return the packs that the editor saved with the nodes of a workflow, by node class.

    Includes the nodes in subgraphs and group nodes. If nodes of one class name different packs, the first counts.
    """
    packs: dict[str, PackId] = {}
    for node in _saved_nodes(unwrap(workflow)):
        match node:
            case {"type": str(class_type), "properties": {} as properties}:
                pack = pack_id(properties)
                if pack is not None:
                    packs.setdefault(class_type, pack)
    return packs


def pack_id(properties: Mapping[str, object]) -> PackId | None:
    """Return the pack that the editor saved in the properties of a node, or None."""
    registry_id, repository, version = (_short_text(properties.get(key)) for key in ("cnr_id", "aux_id", "ver"))
    return PackId(registry_id, repository, version) if registry_id or repository else None


def _short_text(value: object) -> str:
    """Return at most `LONGEST_ID` characters of a printable text, or an empty text for another value."""
    return value[:LONGEST_ID] if isinstance(value, str) and value.isprintable() else ""


def _saved_nodes(workflow: object) -> Iterator[object]:
    """Yield the nodes of a workflow as the editor saved it, including subgraphs and group nodes."""
    if not isinstance(workflow, dict):
        return
    graphs: list[object] = [workflow]
    match workflow.get("definitions"):
        case {"subgraphs": list(subgraphs)}:
            graphs += subgraphs
    match workflow.get("extra"):
        case {"groupNodes": {} as groups}:
            graphs += groups.values()
    for graph in graphs:
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        yield from nodes if isinstance(nodes, list) else ()


def _install(source: str) -> str:
    """Return a sentence, with a space before it, about how to install a pack.

    `source` is the repository to pass to `comfy-worker nodes add`, or empty if it is not known.
    """
    if not source:
        return " Install it into custom_nodes, or add its repository to the image with `comfy-worker nodes add`."
    return f" Install it into custom_nodes, or add it to the image with `comfy-worker nodes add {source}`."

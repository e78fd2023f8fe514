"""The node pack of a class that an engine lacks: by the bundled catalog, or by what the editor saved with its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.prompt import unwrap

COMFYUI = "ComfyUI 0.33.0"
_WITH_COMFYUI = "websocket_image_save"
CORE_ID = "comfy-core"
"""What the editor saves as the pack of ComfyUI's own nodes."""
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
    """A node pack by its folder's name, and where it is kept; ComfyUI itself has no address here."""

    name: str
    url: str = ""

    @classmethod
    def of_module(cls, module: str) -> Provider:
        """From a class's `python_module`: `custom_nodes.RES4LYF`, `comfy_extras.nodes_flux`, `nodes`."""
        family, _, name = module.partition(".")
        if family != "custom_nodes" or name == _WITH_COMFYUI:
            return cls(COMFYUI)
        return cls(name, _HOMES.get(name, ""))

    @property
    def install_hint(self) -> str:
        """A sentence for who misses a class of it."""
        if self.name == COMFYUI:
            return f"It comes with {COMFYUI}; this engine is another version."
        where = f" ({self.url})" if self.url else ""
        return f"The node pack {self.name}{where} provides it.{_install(self.url)}"


def provider_of(class_type: str) -> Provider | None:
    """The pack that provides a class, None for one that the bundled catalog doesn't know."""
    known = bundled_catalog()
    return Provider.of_module(known[class_type].pack) if class_type in known else None


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
        """A sentence for the caller whose workflow has a class of it that is missing."""
        version = f" {self.version}" if self.version else ""
        if self.registry_id == CORE_ID:
            return f"The workflow was saved with ComfyUI{version}, which has it; this engine is another version."
        name = self.registry_id or self.repository
        return f"The workflow was saved with the node pack {name}{version}.{_install(self.repository)}"


PackIds = Mapping[str, PackId]
"""By node class."""


def pack_ids(workflow: object) -> dict[str, PackId]:
    """Return the packs that the editor saved with the nodes of a workflow, in subgraphs and group nodes too."""
    found: dict[str, PackId] = {}
    for node in _saved_nodes(unwrap(workflow)):
        match node:
            case {"type": str(class_type), "properties": {} as properties} if pack := pack_id(properties):
                found.setdefault(class_type, pack)
    return found


def pack_id(properties: Mapping[str, object]) -> PackId | None:
    """Return the pack that the editor saved in the properties of a node, if any."""
    texts = (properties.get(key) for key in ("cnr_id", "aux_id", "ver"))
    registry_id, repository, version = (
        text[:LONGEST_ID] if isinstance(text, str) and text.isprintable() else "" for text in texts
    )
    return PackId(registry_id, repository, version) if registry_id or repository else None


def _saved_nodes(workflow: object) -> Iterator[object]:
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
    """How the pack gets into the image; `source` is what `nodes add` takes, empty where it is not known."""
    if not source:
        return " Install it into custom_nodes, or add its repository to the image with `comfy-worker nodes add`."
    return f" Install it into custom_nodes, or add it to the image with `comfy-worker nodes add {source}`."

"""Who provides a node class that an engine lacks: facts of the bundled catalog."""

from __future__ import annotations

from dataclasses import dataclass

from worker.workflow.catalog.catalog import bundled_catalog

COMFYUI = "ComfyUI 0.33.0"
_WITH_COMFYUI = "websocket_image_save"

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
    def says(self) -> str:
        """A sentence for who misses a class of it."""
        if self.name == COMFYUI:
            return f"It comes with {COMFYUI}; this engine is another version."
        where = f" ({self.url})" if self.url else ""
        return f"The node pack {self.name}{where} provides it."


def provider_of(class_type: str) -> Provider | None:
    """The pack that provides a class, None for one that the bundled catalog doesn't know."""
    known = bundled_catalog()
    return Provider.of_module(known[class_type].pack) if class_type in known else None

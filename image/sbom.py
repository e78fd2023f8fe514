"""Writes the image's bill of materials (CycloneDX 1.6, JSON) to standard output.

It lists the packages of the system, of ComfyUI's and of the worker's Python environment, ComfyUI itself and its node
packs. It runs in the image, with cyclonedx-bom in a separate environment.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

COMFYUI = Path("/opt/ComfyUI")
ENVIRONMENTS = {"comfyui": COMFYUI / ".venv", "worker": Path("/opt/comfy-worker/env")}
FROM_GITHUB = "https://github.com/"

Component = dict[str, Any]


def main() -> None:
    """Print the bill of materials. Any error ends the build of the image."""
    components = [*system_packages(), *sources()]
    dependencies: list[Component] = []
    for name, folder in ENVIRONMENTS.items():
        bill = python_environment(name, folder)
        components += bill["components"]
        dependencies += bill["dependencies"]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "comfy-worker", "bom-ref": "comfy-worker"}},
        "components": components,
        "dependencies": dependencies,
    }
    text = json.dumps(bill, indent=1, sort_keys=True)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"the bill of materials is not valid: {error}")
    print(text)


def system_packages() -> Iterator[Component]:
    """Yield the packages that dpkg lists."""
    distribution = platform.freedesktop_os_release()["ID"]
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\n"]
    for line in subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines():
        name, version, architecture = line.split()
        purl = f"pkg:deb/{distribution}/{name}@{quote(version, safe='')}?arch={architecture}"
        yield {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def sources() -> Iterator[Component]:
    """Yield ComfyUI and its packs from the record that `worker.node_packs.sources` wrote."""
    for name, pin in json.loads((COMFYUI / "pins.json").read_text("utf-8")).items():
        commit, url = pin["commit"], pin["url"]
        path = url.removeprefix(FROM_GITHUB)
        purl = f"pkg:github/{path.lower()}@{commit}" if path != url else f"pkg:generic/{quote(name)}@{commit}"
        yield {
            "type": "application",
            "name": name,
            "version": commit,
            "purl": purl,
            "bom-ref": f"source:{name}",
            "externalReferences": [{"type": "vcs", "url": url}],
        }


def python_environment(name: str, folder: Path) -> Component:
    """Return the packages of an environment and their dependencies. References start with the environment's name."""
    tool, python = Path(sys.executable).with_name("cyclonedx-py"), folder / "bin" / "python"
    command = [str(tool), "environment", str(python), "--output-reproducible", "--sv", "1.6"]
    bill = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for component in bill.get("components", ()):
        component["bom-ref"] = f"{name}:{component['bom-ref']}"
        component.setdefault("properties", []).append({"name": "comfy-worker:environment", "value": name})
    for dependency in bill.get("dependencies", ()):
        dependency["ref"] = f"{name}:{dependency['ref']}"
        dependency["dependsOn"] = [f"{name}:{other}" for other in dependency.get("dependsOn", ())]
    return {"components": bill.get("components", []), "dependencies": bill.get("dependencies", [])}


if __name__ == "__main__":
    main()

"""`comfy-worker proxy schema`: the JSON Schema of proxy.toml, for editors."""

from __future__ import annotations

from worker.cli.output.json_output import print_json

EXAMPLES = ("comfy-worker proxy schema > proxy.schema.json",)


def command() -> None:
    """Print the JSON Schema of proxy.toml, with which editors complete and check the file.

    For editors with Taplo, write `#:schema ./proxy.schema.json` in the first line of the file.
    """
    from worker.proxy.config.tables import ProxyConfig

    print_json(ProxyConfig.model_json_schema())

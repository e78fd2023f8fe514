"""A name stands for one thing in the whole tree, and names that were replaced do not return."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("worker", "bench", "chaos", "real", "ci", "image", "monitoring")

REPLACED = {
    "shelf": "retention",
    "entries": "job_index",
    "harvest": "output_collector",
    "vetting": "preflight",
    "carrier": "embedded_metadata",
    "complaint": "validation_error or failure_report",
    "conjure": "coerce",
    "mischief": "fault_injector",
    "suspects": "crash_history",
    "keeper": "supervisor",
    "leash": "die_with_parent",
    "watch": "watchdog",
    "mailbox": "Subscription",
    "gate": "exclusive_lock or signature_check",
    "grant": "signature_check",
    "door": "ingress",
    "visit": "request_context",
    "ticket": "job_handle",
    "relay": "response_proxy",
    "counters": "metrics",
    "conduct": "fault_config",
    "front": "tls_proxy",
    "mend": "repair",
    "own_checks": "node_validators",
    "certainty": "confidence",
    "proposal": "template_scaffold",
    "given": "decode",
    "places": "file_inputs",
    "patience": "backoff",
    "theatre": "testbed",
    "errand": "client_scenario",
    "playbill": "demo_report",
    "stages": "startup_timing",
    "destination": "delivery_options",
    "registry": "job_manager",
    "link": "websocket",
    "pinned": "pinned_transport",
}
"""Words that modules, classes and public functions no longer have as a name, and the words that replaced them."""

OF_WORKFLOWS = "a link of a workflow: the output of one node that is the input of another"
OF_FILES = "a hard or symbolic link of the file system"
OF_KINDS = "a registry: the table in which each of several kinds has one line"
OF_IMAGES = "a registry of container images"
ALLOWED = {
    **dict.fromkeys(
        ("Link", "_BrokenLink", "add_links", "broken_link", "is_link", "known_links", "links"), OF_WORKFLOWS
    ),
    **dict.fromkeys(("link_of", "link_target", "link_type", "read_links", "follows_links"), OF_WORKFLOWS),
    **dict.fromkeys(("link", "link_or_copy", "link_targets", "hard_links"), OF_FILES),
    **dict.fromkeys(("registry", "NodeRegistry"), OF_KINDS),
    "RegistryLogin": OF_IMAGES,
    **dict.fromkeys(
        ("TcpRelay", "tcp_relay", "RecordingRelay", "recording_relay"), "a TCP or HTTP relay before a server"
    ),
    "ChainLink": "one LoRA node of a chain",
    "SlowLink": "a network link of limited speed",
    "PinnedPack": "a node pack at a pinned commit",
    "PinnedSender": "the replacement itself: a transport pinned to checked addresses",
    "pinned_transport": "the replacement itself",
    "lora_entries": "entries of a list of LoRAs in a node",
    "read_entries": "entries of a lock file",
}
"""Names that have such a word in another meaning, and that meaning."""

ONLY_ONCE = ("Place", "Report", "Record", "Entry", "Gate", "Engine", "Fleet", "Target", "Limits")


def definitions() -> Iterator[tuple[str, str]]:
    """Yield (name, path) of each module, class, public function and public method."""
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            where = str(path.relative_to(ROOT))
            yield (path.parent.name if path.stem in ("__init__", "__main__") else path.stem), where
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) or (
                    isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
                ):
                    yield node.name, f"{where}:{node.lineno}"


def words(name: str) -> str:
    """Return a name in lower case with `_` around each word: `KeptStage` is `_kept_stage_`."""
    return f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower().strip('_')}_"


def test_no_replaced_word_is_a_name() -> None:
    """Every name with a word of REPLACED stands in ALLOWED with its meaning."""
    found = [
        f"{name} at {where}: the word for it is {replacement}"
        for name, where in definitions()
        for word, replacement in REPLACED.items()
        if re.search(rf"_{word}s?_", words(name)) and name not in ALLOWED
    ]
    assert not found, "\n".join(found)


def test_every_exception_is_needed() -> None:
    """No entry of ALLOWED is left of a name that is gone."""
    assert ALLOWED.keys() <= {name for name, _ in definitions()}


def test_a_class_name_stands_for_one_class() -> None:
    """No two classes of the tree have one name, with or without a leading underscore."""
    places = defaultdict(list)
    for source in SOURCES:
        for path in (ROOT / source).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name.lstrip("_")].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice, twice
    assert all(len(places[name]) <= 1 for name in ONLY_ONCE)

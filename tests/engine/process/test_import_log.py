"""Tests of the import results in ComfyUI's log."""

from __future__ import annotations

from worker.engine.process.import_log import PackImport, read_imports, tail

TRACE = """Traceback (most recent call last):
  File "/c/nodes.py", line 1, in load_custom_node
    module_spec.loader.exec_module(module)
  File "/c/custom_nodes/One/__init__.py", line 3, in <module>
    from comfy.samplers import Gone
ImportError: cannot import name 'Gone'"""
FRAMES = TRACE.partition("\n")[2]
OLD = f"""
{TRACE}

Cannot import /c/custom_nodes/One module for custom nodes: cannot import name 'Gone'
Skip /c/custom_nodes/Two module for custom nodes due to the lack of NODE_CLASS_MAPPINGS or NODES_LIST (need one).
Error while calling comfy_entrypoint in /c/custom_nodes/Three: no extension today

Import times for custom nodes:
   0.0 seconds: /c/custom_nodes/websocket_image_save.py
   0.1 seconds (IMPORT FAILED): /c/custom_nodes/One
   0.2 seconds (IMPORT FAILED): /c/custom_nodes/Two
   0.3 seconds (IMPORT FAILED): /c/custom_nodes/Three
  12.5 seconds: /c/custom_nodes/A pack, with blanks

Starting server
"""


def test_each_pack_is_found_with_its_cause() -> None:
    """`read_imports` returns each pack with the last line of its traceback or ComfyUI's message."""
    found = read_imports(OLD)
    assert found["One"] == PackImport("One", False, 0.1, "ImportError: cannot import name 'Gone'", FRAMES)
    assert found["Two"].cause == "due to the lack of NODE_CLASS_MAPPINGS or NODES_LIST (need one)."
    assert (found["Three"].cause, found["Three"].traceback) == ("no extension today", "")
    assert found["A pack, with blanks"] == PackImport("A pack, with blanks", True, 12.5)
    assert found["websocket_image_save.py"].imported


def test_colours_and_levels_are_no_part_of_it() -> None:
    """`read_imports` ignores the colors and levels of ComfyUI 0.33."""
    coloured = "".join(f"\x1b[33m[WARNING]\x1b[0m {line}\n" for line in OLD.splitlines())
    found = read_imports(coloured)
    assert found == read_imports(OLD)


def test_comfyuis_own_nodes_are_looked_at_too() -> None:
    """`read_imports` returns files of comfy_extras that could not be imported."""
    log = f"{TRACE}\n\nCannot import /c/comfy_extras/nodes_audio.py module for custom nodes: x\n"
    found = read_imports(f"{log}IMPORT FAILED: nodes_audio.py\n")
    assert (found["nodes_audio.py"].imported, found["nodes_audio.py"].cause) == (
        False,
        "ImportError: cannot import name 'Gone'",
    )


def test_the_end_of_a_log_is_short() -> None:
    """`tail` returns the last twenty lines with text."""
    assert tail("\n\n".join(map(str, range(30)))).splitlines() == [str(number) for number in range(10, 30)]

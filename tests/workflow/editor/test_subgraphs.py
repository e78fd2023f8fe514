"""Tests of subgraphs: expansion, and the values of their instances."""

from __future__ import annotations

from tests.workflow.editor.workflow_builder import WorkflowBuilder

BLUR = "11111111-1111-4111-8111-111111111111"
OUTER = "22222222-2222-4222-8222-222222222222"


def blur_subgraph() -> WorkflowBuilder:
    """Return a subgraph with an image input, an image output and a shown field."""
    inside = WorkflowBuilder(BLUR)
    inside.node(5, "Blur", [2.5])
    inside.add_input("image", "IMAGE", (5, "image"))
    inside.add_input("amount", "FLOAT", (5, "radius"), widget=True)
    inside.add_output("IMAGE", "IMAGE", 5)
    return inside


def with_instances(
    *instances: tuple[int, object], inside: WorkflowBuilder | None = None, kind: str = BLUR, **more: object
) -> WorkflowBuilder:
    """Return a workflow with a chain of subgraph instances between an image (node 1) and SaveImage (node 9)."""
    builder = WorkflowBuilder()
    builder.definitions = [inside or blur_subgraph()]
    last = builder.node(1, "Canvas", [64, 64])
    for number, values in instances:
        builder.node(number, kind, values, **more)
        builder.link(last, 0, number, "image", "IMAGE")
        last = number
    builder.node(9, "SaveImage", ["x"])
    builder.link(last, 0, 9, "images", "IMAGE")
    return builder


def test_inner_nodes_have_their_path_as_id() -> None:
    """convert names inner nodes `instance:node` and links them to the nodes outside."""
    assert with_instances((2, [])).prompt() == {
        "1": ("Canvas", {"width": 64, "height": 64}),
        "2:5": ("Blur", {"radius": 2.5, "image": ["1", 0]}),
        "9": ("SaveImage", {"filename_prefix": "x", "images": ["2:5", 0]}),
    }


def test_instances_have_their_own_values() -> None:
    """convert uses the value of each instance in place of the value inside."""
    prompt = with_instances((2, [3.5]), (3, [4.5])).prompt()
    assert (prompt["2:5"][1]["radius"], prompt["3:5"][1]["radius"]) == (3.5, 4.5)
    assert prompt["3:5"][1]["image"] == ["2:5", 0]


def test_a_linked_field_of_an_instance() -> None:
    """convert uses a link into an instance in place of every value."""
    builder = with_instances((2, [3.5]))
    builder.node(7, "Any")
    builder.link(7, 0, 2, "amount", "FLOAT", widget=True)
    assert builder.inputs_of("2:5")["radius"] == ["7", 0]


def test_nested_subgraphs() -> None:
    """convert joins the ids to a path, and uses the outermost value of a field that is shown twice."""
    outer = WorkflowBuilder(OUTER)
    outer.node(6, BLUR, [3.5])
    outer.add_input("image", "IMAGE", (6, "image"))
    outer.add_input("amount", "FLOAT", (6, "amount"), widget=True)
    outer.add_output("IMAGE", "IMAGE", 6)
    builder = with_instances((2, []), inside=outer, kind=OUTER)
    builder.definitions.append(blur_subgraph())
    assert builder.inputs_of("2:6:5") == {"radius": 3.5, "image": ["1", 0]}
    builder._at(2)["widgets_values"] = [4.5]
    assert builder.inputs_of("2:6:5")["radius"] == 4.5
    assert builder.inputs_of(9)["images"] == ["2:6:5", 0]


def test_duplicate_inner_ids_are_renumbered() -> None:
    """convert gives inner nodes the next free id when the workflow itself uses theirs."""
    inside = WorkflowBuilder(BLUR)
    inside.node(1, "Blur", [2.5])
    inside.add_input("image", "IMAGE", (1, "image"))
    inside.add_output("IMAGE", "IMAGE", 1)
    builder = with_instances((2, []), inside=inside)
    assert builder.inputs_of(9)["images"] == ["2:3", 0]
    saved = {**builder.saved(), "last_node_id": 40}
    builder.saved = lambda: saved  # type: ignore[method-assign]
    assert builder.inputs_of(9)["images"] == ["2:41", 0]


def test_a_muted_or_bypassed_instance() -> None:
    """convert runs nothing inside a disabled instance, and passes its input on if it is bypassed."""
    assert set(with_instances((2, []), mode=2).prompt()) == {"1", "9"}
    prompt = with_instances((2, []), mode=4).prompt()
    assert set(prompt) == {"1", "9"}
    assert prompt["9"][1]["images"] == ["1", 0]


def test_an_input_that_is_linked_to_an_output() -> None:
    """convert passes on a subgraph input that is linked directly to an output."""
    inside = WorkflowBuilder(BLUR)
    inside.add_input("image", "IMAGE")
    inside.add_output("IMAGE", "IMAGE", -10)
    assert with_instances((2, []), inside=inside).inputs_of(9)["images"] == ["1", 0]


def test_proxy_widgets_become_inputs() -> None:
    """convert sets the fields of proxies to the values of each instance, and null keeps the inner value."""
    inside = WorkflowBuilder(BLUR)
    inside.node(5, "Mix", ["fill"])
    inside.node(6, "Blur", [2.5])
    inside.link(5, 0, 6, "image", "IMAGE")
    inside.add_input("image", "IMAGE", (5, "a"))
    inside.add_output("IMAGE", "IMAGE", 6)
    proxies = {"proxyWidgets": [["5", "how"], ["6", "radius"]]}
    first = with_instances((2, ["fit", 7]), (3, [None, 8]), inside=inside, properties=proxies).prompt()
    assert (first["2:5"][1]["how"], first["2:6"][1]["radius"]) == ("fit", 7)
    assert (first["3:5"][1]["how"], first["3:6"][1]["radius"]) == ("fill", 8)


def test_a_proxy_of_an_existing_input() -> None:
    """convert sets an existing input by the index of its proxy."""
    builder = with_instances((2, ["other", 7]), properties={"proxyWidgets": [["99", "gone"], ["5", "radius"]]})
    assert builder.inputs_of("2:5")["radius"] == 7
    builder = with_instances((2, [6]), properties={"proxyWidgets": [["-1", "amount"]]})
    assert builder.inputs_of("2:5")["radius"] == 6


def test_a_proxy_of_a_primitive() -> None:
    """convert gives the value of a primitive's proxy to the fields that the primitive feeds."""
    inside = WorkflowBuilder(BLUR)
    inside.node(4, "PrimitiveNode", [5.5, "fixed"])
    inside.node(5, "Blur", [2.5])
    inside.link(4, 0, 5, "radius", "FLOAT", widget=True)
    inside.links[-1]["target_slot"] = 1
    inside.add_input("image", "IMAGE", (5, "image"))
    inside.add_output("IMAGE", "IMAGE", 5)
    proxies = {"proxyWidgets": [["4", "value"]]}
    assert with_instances((2, [8.5]), inside=inside, properties=proxies).inputs_of("2:5")["radius"] == 8.5

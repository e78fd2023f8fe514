"""Writing the id into a fleet file."""

from __future__ import annotations

import tomllib

import pytest

from tests.fleet.wishes import FLEET, IMAGE
from worker.errors import DeployError, FleetError
from worker.fleet.definition.fleet_file import read_fleet
from worker.fleet.definition.fleet_id import id_of, new_id, with_id

OLD = FLEET.replace('id = "0123456789abcdef"\n', "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[template]\n", 'id = "abcd"\n[template]\n'),
        ("# about\n# it\n\nx = 1\n", '# about\n# it\nid = "abcd"\n\nx = 1\n'),
        ("# about\r\n[a]\r\n", '# about\r\nid = "abcd"\r\n[a]\r\n'),
        ('id = ""  # here\nx = 1\n', 'id = "abcd"\nx = 1\n'),
        ('x = """\nid = "no"\n"""\nid=""\n', 'x = """\nid = "no"\n"""\nid = "abcd"\n'),
        ('# a\n\nid = "old"\n[a]\nid = "table"\n', '# a\n\nid = "abcd"\n[a]\nid = "table"\n'),
        ("", 'id = "abcd"\n'),
    ],
)
def test_an_id_is_written_and_nothing_else_changes(before: str, after: str) -> None:
    """The id is written below the top comments or replaces the old one, and nothing else changes."""
    assert with_id(before, "abcd") == after
    assert tomllib.loads(after) == {**tomllib.loads(before), "id": "abcd"}


def test_an_id_that_cannot_be_written_is_an_error() -> None:
    """An id on several lines and a file that is not TOML are errors."""
    with pytest.raises(DeployError, match='add the line id = "abcd" at its top'):
        with_id('id = """\nold"""\n', "abcd")
    with pytest.raises(DeployError, match="the file is not TOML"):
        id_of("[")


def test_a_file_of_an_older_release_names_the_command() -> None:
    """A file without an id is an error with a line to copy, which has a new id each time."""
    seen = set()
    for _ in range(2):
        with pytest.raises(FleetError) as raised:
            read_fleet(OLD, IMAGE)
        (problem,) = map(str, raised.value.problems)
        assert "`comfy-worker deploy init` writes one" in problem
        seen.add(problem.rpartition('id = "')[2])
    assert len(seen) == 2
    assert read_fleet(with_id(OLD, new_id()), IMAGE).template.name == "comfy-worker"


@pytest.mark.parametrize("bad", ["ab", "a b c d", "x" * 65, "ab\\u0007cd", "a'b'c"])
def test_an_id_has_to_fit_into_a_variable(bad: str) -> None:
    """An id with blanks or quotes is rejected, because Vast would change it."""
    with pytest.raises(FleetError, match="id: "):
        read_fleet(f'id = "{bad}"\n{OLD}', IMAGE)


def test_the_mark_is_not_set_by_hand() -> None:
    """The mark is rejected in the template's and in the account's variables."""
    text = FLEET.replace('WORKER_MODELS = "sdxl"', 'COMFY_WORKER_FLEET = "x"').replace(
        '["HF_TOKEN"]', '["COMFY_WORKER_FLEET"]'
    )
    with pytest.raises(FleetError) as raised:
        read_fleet(text, IMAGE)
    assert {problem.table for problem in raised.value.problems} == {"template.env", ""}

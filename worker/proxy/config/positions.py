"""Line numbers of tables and keys in a TOML file, because Python's parser does not report them. Pure."""

from __future__ import annotations

import re

HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?")


def line_of(text: str, table: str, index: int | None, name: str) -> int | None:
    """Return the line of a key, or that of its table's header if the table does not have the key.

    `index` is the position of the table in an array of tables, None for another table. An empty `table` is the file
    itself. Returns None if the file does not have the table in this form, for example as an inline table.
    """
    key = re.compile(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]")
    number_of_tables, inside, header_line = -1, not table, None
    for number, line in enumerate(text.splitlines(), 1):
        header = HEADER.match(line)
        if header:
            is_element = header[1] == "[["
            same_name = header[2] == table and is_element == (index is not None)
            number_of_tables += same_name
            inside = same_name and index in {None, number_of_tables}
            header_line = number if inside else header_line
            if not table and header[2] == name:
                return number
        elif inside and key.match(line):
            return number
    return header_line

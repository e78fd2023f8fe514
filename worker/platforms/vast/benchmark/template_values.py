"""Fills a template for the benchmark: with its defaults, and with smaller values where the job would take too long."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from worker.workflow.json_value import Json
from worker.workflow.templates.template import Parameter, ParameterKind, Template
from worker.workflow.templates.value import number_range

FEWEST_STEPS = 4
"""Steps to which a benchmark is shortened. The cost is linear in the steps, so the units a second stay the same."""
CUT, MOST_CUTS = 0.7, 16
"""Factor by which a value is made smaller, and number of times that it is."""
SHORTENED = (r"steps$", r"length|frames?|seconds|duration|batch", r"")
"""Names of the inputs whose values are made smaller, in this order. The last stands for all others, such as a size."""
OTHER_VALUES: Mapping[ParameterKind, Json] = {
    ParameterKind.STRING: "a photograph of a mountain lake",
    ParameterKind.BOOLEAN: False,
    ParameterKind.LIST: [],
    ParameterKind.INTEGER: 1,
    ParameterKind.NUMBER: 1,
}
"""Values of required parameters that have no default."""

UnitsOf = Callable[[Mapping[str, Json]], float]
"""Returns the units of a template that is filled with these values."""


def benchmark_values(template: Template, limit: float, units_of: UnitsOf) -> dict[str, Json]:
    """Return values for the parameters of a template, except for its files, whose job has at most `limit` units.

    A parameter with a default is left out unless its value has to be smaller. First the steps are cut, then frames and
    items of a batch, then everything else that makes the job larger. If the smallest values do not suffice, they are
    returned.
    """
    values = {parameter.name: _required_value(parameter) for parameter in template.parameters if _is_open(parameter)}
    for pattern in SHORTENED:
        numbers = [parameter for parameter in template.parameters if _matches(parameter, pattern)]
        for cuts in range(1, MOST_CUTS + 1):
            if units_of(values) <= limit or not numbers:
                break
            for parameter in numbers:
                smaller = {**values, parameter.name: _smaller(parameter, pattern, cuts)}
                if units_of(smaller) < units_of(values):
                    values = smaller
    return values


def _is_open(parameter: Parameter) -> bool:
    """Return whether a parameter needs a value that is neither a default nor a file."""
    return parameter.required and parameter.default is None and not parameter.type.is_file


def _required_value(parameter: Parameter) -> Json:
    """Return a valid value for a parameter without a default."""
    if parameter.type is ParameterKind.CHOICE:
        return parameter.choices[0]
    value = OTHER_VALUES.get(parameter.type, 0)
    low, high = number_range(parameter)
    if isinstance(value, int) and not isinstance(value, bool):
        return max(low if low is not None else value, min(value, high if high is not None else value))
    return value


def _matches(parameter: Parameter, pattern: str) -> bool:
    """Return whether a parameter is a number that sets an input of such a name, or has such a name itself."""
    names = (parameter.name, *(target.input for target in parameter.sets))
    is_size = parameter.type in {ParameterKind.INTEGER, ParameterKind.NUMBER} and _default(parameter) > 0
    return is_size and any(re.search(pattern, name) for name in names)


def _smaller(parameter: Parameter, pattern: str, cuts: int) -> Json:
    """Return the smaller value of a number after so many cuts. Steps are FEWEST_STEPS after the first one.

    The value is valid: at least the minimum, and a multiple of `multiple_of`.
    """
    low, _ = number_range(parameter)
    default = _default(parameter)
    value = min(default, FEWEST_STEPS) if pattern == SHORTENED[0] else default * CUT**cuts
    value = max(value, low or 0.0)
    if parameter.multiple_of:
        value = max(1, round(value / parameter.multiple_of)) * parameter.multiple_of
    return value if parameter.type is ParameterKind.NUMBER else max(1, round(value))


def _default(parameter: Parameter) -> float:
    """Return the default of a number, or 0 without one."""
    return float(parameter.default) if isinstance(parameter.default, int | float) else 0.0

"""Public measurements of generation times: how well the closed form predicts them from a single one of the same GPU.

`python -m bench.load.points --data PATH` prints the table. The data is not part of the repository.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.load.part import LoadRow, PartResult, not_run
from bench.load.plots import Bars
from bench.load.speed.former import FORMER, FORMER_WORKLOADS
from bench.load.speed.point import SEPARATE, read_points
from bench.load.speed.pricing import Pair, PricedPoint, by_gpu, former_pairs, pairs, price, simple_pairs, unseen
from worker.workflow.templates.library import read_library

AT_LEAST, AT_LEAST_SAME = 0.88, 0.93
TARGET = f">= {AT_LEAST:.0%} / >= {AT_LEAST_SAME:.0%}"
WORST = 5
WHAT = "public speed points, pairs within x1.5, all / same family: "
OWN_KERNELS = "the engine's own kernels compute attention in 8 bits; a prompt does not show the engine"
SGLANG = "sglang's fused kernels are 1.5 times as fast as the usual ones; a prompt does not show the engine"
SMALL_MEMORY = "the memory of this laptop is too small for the model, which moves in each step"
REASONS: dict[int, str] = {
    3: "the weights and the text encoder do not fit into the memory together, so that each job moves 20 GB",
    5: "as the point before: the files move in each job, which is no work of the job itself",
    31: SMALL_MEMORY,
    33: SMALL_MEMORY,
    101: "the model's first code, whose attention is slow",
    107: SGLANG,
    108: SGLANG,
    109: SGLANG,
    117: "8 steps take 62 % of the time of 20 steps with two passes of a model of the same size: mostly fixed costs",
    155: OWN_KERNELS,
    156: OWN_KERNELS,
}
"""Why the worst points differ, by the id of the point."""


def measure(data: Path) -> PartResult:
    """Return the table for the file of public measurements. The part is not run if the file is absent."""
    if not data.is_file():
        return not_run(WHAT + "plain runs", f"no file {data}", TARGET)
    library = read_library("shipped")
    priced = [price(point, library) for point in read_points(data)]
    main = [each for each in priced if each.point.gpu != SEPARATE]
    plain = [each for each in main if each.point.is_plain]
    separate = [each for each in priced if each.point.gpu == SEPARATE]
    main_pairs = pairs(main)
    rows = [
        _row("plain runs, the point alone decides the speed", plain, simple_pairs, TARGET),
        _row("plain runs, the point and the data sheet", plain, pairs, TARGET),
        _row("the same with other engines and too little memory", main, pairs, TARGET),
        _row(f"{SEPARATE}, one source, the point alone", separate, simple_pairs),
    ]
    worst = "\n".join(_worst(main_pairs))
    notes = [_method(main, plain), _families(main, main_pairs), f"The worst pairs, each of another point:\n\n{worst}"]
    return PartResult(rows, notes, {"load-families.svg": _plot(main_pairs).svg()})


def _plot(found: Sequence[Pair]) -> Bars:
    """Return the plot of the families: the share of pairs whose target is of the family."""
    bars = []
    for family in sorted({pair.target.family for pair in found}):
        targets = [pair for pair in found if pair.target.family == family]
        points = len({pair.target.id for pair in targets})
        bars.append((family, share(targets), f"{100 * share(targets):.0f} %, {points} point{'s' * (points > 1)}"))
    bars.sort(key=lambda bar: -bar[1])
    return Bars("Public speed points within a factor of 1.5, by family of the predicted point", bars, AT_LEAST)


def _row(
    name: str,
    priced: Sequence[PricedPoint],
    predict: Callable[[Sequence[PricedPoint]], list[Pair]],
    target: str = "-",
) -> LoadRow:
    """Return the row of some points: the shares of pairs within a factor of 1.5."""
    found = predict(priced)
    former = former_pairs([each.point for each in priced], FORMER_WORKLOADS)
    short = [max(0.0, least - part) for least, part in zip((AT_LEAST, AT_LEAST_SAME), _parts(found), strict=True)]
    measured = _shares(found)
    if target != "-" and any(short):
        measured += f", short by {100 * short[0]:.1f} / {100 * short[1]:.1f} points"
    met = not any(short) if target != "-" else None
    return LoadRow(f"{WHAT}{name} ({len(priced)} points)", measured, _shares(former), target, met)


def _parts(found: Sequence[Pair]) -> tuple[float, float]:
    """Return the share of close pairs, and that among the pairs within one family."""
    return share(found), share([pair for pair in found if pair.same_family])


def _families(priced: Sequence[PricedPoint], found: Sequence[Pair]) -> str:
    """Return the table of the families: the points of each, predicted from all points of their GPU."""
    former = former_pairs([each.point for each in priced], FORMER_WORKLOADS)
    lines = ["| family | points | today, all / same family | measured, all / same family |", "|---|---|---|---|"]
    for family in sorted({pair.target.family for pair in found}):
        ours, theirs = ([pair for pair in some if pair.target.family == family] for some in (found, former))
        count = len({pair.target.id for pair in ours})
        lines.append(f"| {family} | {count} | {_shares(theirs)} | {_shares(ours)} |")
    return "\n".join(lines)


def _shares(found: Sequence[Pair]) -> str:
    """Return the share of close pairs, and that of pairs within one family."""
    same = [pair for pair in found if pair.same_family]
    return f"{share(found):.1%} / " + (f"{share(same):.1%}" if same else "-")


def share(found: Sequence[Pair]) -> float:
    """Return the share of pairs within a factor of 1.5."""
    return sum(pair.is_close for pair in found) / len(found) if found else 0.0


def _method(main: Sequence[PricedPoint], plain: Sequence[PricedPoint]) -> str:
    """Return how the pairs were predicted, and how accurate the closed form is without any point of a GPU."""
    blind = [unseen(main, gpu) for gpu in by_gpu(main)]
    plain_ids = {each.point.id for each in plain}
    ratios = [ratio for group in blind for point, ratio in group if point.id in plain_ids]
    close = sum(1 / 1.5 <= ratio <= 1.5 for ratio in ratios) / len(ratios)
    return (
        "Each GPU is predicted with constants that were fitted on the other GPUs: a factor of the seconds that do not "
        "depend on the GPU, and two numbers of a rule from the data sheet (TFLOPS, GB/s of the memory) to the speed of "
        "a GPU. In the first row, one point of the GPU alone sets its speed, and misses the target: the error of that "
        "point is then in all others. In the second and third row, the point moves the speed of the data sheet only as "
        "far as the spread of the other GPUs and points suggests, as the worker does. "
        f"Without any point of the GPU, from its data sheet alone, {close:.1%} of the plain points are within x1.5. "
        f'"Today" is the workload of commit {FORMER}, scaled by the one point. Each point was priced as a prompt.'
    )


def _worst(found: Sequence[Pair]) -> list[str]:
    """Return a description of the worst pairs, each with another target."""
    worst: dict[int, Pair] = {}
    for pair in sorted(found, key=lambda pair: -abs(math.log(pair.ratio))):
        worst.setdefault(pair.target.id, pair)
    return [_described(pair) for pair in list(worst.values())[:WORST]]


def _described(pair: Pair) -> str:
    """Return a line about a pair."""
    reason = REASONS.get(pair.target.id) or REASONS.get(pair.source.id) or "not explained"
    return f"- x{pair.ratio:.2f} on {pair.target.gpu}: {pair.target}, from {pair.source}. Reason: {reason}."


def main() -> None:
    """Print the table and the notes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="speed-points.csv")
    result = measure(parser.parse_args().data)
    for row in result.rows:
        print(" | ".join((*row.cells,)))
    print("\n".join(result.notes))


if __name__ == "__main__":
    main()

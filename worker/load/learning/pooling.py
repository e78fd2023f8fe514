"""Merges what several machines of one GPU class have learned into priors for others, and applies such priors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

from worker.errors import MixedClassesError
from worker.load.learning.effect_tree import HOST, REMOTE, Key
from worker.load.learning.learned_state import Learned, LearnedState, StateHeader
from worker.load.learning.warm_times import MACHINE_SPREAD

INTERACTION = 0.005
"""Variance of a shape among the GPUs of a class, beside the speed of each GPU as a whole."""
HOSTS_DIFFER = 0.05
"""Variance of what runs on the CPU, and of loads, among machines."""
ROUNDS = 20
"""Rounds in which the effects of machines and shapes are fitted in turn. They converge in fewer."""


def gpu_classes(states: Iterable[LearnedState]) -> set[str]:
    """Return the names of the GPU classes that states have effects of."""
    return {key.root for state in states for key in state.shapes} - {HOST, REMOTE}


def of_class(state: LearnedState, gpu: str) -> LearnedState:
    """Return what a state has of one GPU class, and of nodes that do not run on a GPU."""
    shapes = {key: effect for key, effect in state.shapes.items() if key.root == gpu or not _on_gpu(key)}
    return replace(state, shapes=shapes)


def pool(states: Sequence[LearnedState]) -> LearnedState:
    """Return the priors that follow from the states of machines with GPUs of one class.

    The effects of shapes are fitted together with one effect for each machine, so that a slow machine that ran only
    some of the shapes does not make those look slow. The effects of the machines are no part of the priors.

    Raises:
        MixedClassesError: The states have effects of several GPU classes, or of none.
    """
    classes = gpu_classes(states)
    if len(classes) != 1:
        names = ", ".join(sorted(classes)) or "no GPU"
        raise MixedClassesError(f"priors belong to one class of GPUs, but these were learned on {names}")
    shapes: dict[Key, list[tuple[int, Learned]]] = {}
    for number, state in enumerate(states):
        level = _machine_level(state)
        for key, effect in state.shapes.items():
            shapes.setdefault(key, []).append((number, _shifted(effect, level) if _on_gpu(key) else effect))
    shapes = {key: _observed(effects) for key, effects in shapes.items()}
    levels = _machine_levels(shapes)
    pooled = {
        key: _merged(
            [_shifted(effect, -levels.get(number, 0.0)) if _on_gpu(key) else effect for number, effect in effects],
            INTERACTION if _on_gpu(key) else HOSTS_DIFFER,
        )
        for key, effects in shapes.items()
    }
    runs = sum(effect.runs for key, effect in pooled.items() if _on_gpu(key))
    return LearnedState(_common_header(states), {}, _merged_tiers(states), pooled, {classes.pop(): runs})


def apply_priors(state: LearnedState, priors: LearnedState) -> LearnedState:
    """Return a state completed with the shapes that the machine has not run itself.

    Shapes that it has only from former priors are replaced.

    What is common to the differences between the two becomes the effect of the machine, which so becomes comparable
    with other machines of its class. Predictions for what the state knows do not change.
    """
    learned = {key: effect for key, effect in state.shapes.items() if effect.is_own}
    difference = _difference(learned, priors.shapes)
    own = {key: _shifted(effect, -difference) if _on_gpu(key) else effect for key, effect in learned.items()}
    imported = {key: effect._replace(imported=effect.runs) for key, effect in priors.shapes.items()}
    return replace(
        state,
        machines={name: _shifted(effect, difference) for name, effect in state.machines.items()},
        tiers={**priors.tiers, **state.tiers},
        shapes={key: effect for shapes in (state.shapes, imported, own) for key, effect in shapes.items()},
        imported={**state.imported, **priors.imported},
    )


def _observed(effects: list[tuple[int, Learned]]) -> list[tuple[int, Learned]]:
    """Return the effects of a shape on the machines that ran it.

    If it is only known from priors, all machines have the same ones, which count once.
    """
    own = [(number, effect) for number, effect in effects if effect.is_own]
    return own or [max(effects, key=lambda row: row[1].runs)]


def _on_gpu(key: Key) -> bool:
    """Return whether the effect of a machine is part of the seconds of such nodes."""
    return key.root not in (HOST, REMOTE)


def _shifted(effect: Learned, by: float) -> Learned:
    """Return an effect with another mean."""
    return effect._replace(mean=effect.mean + by)


def _machine_level(state: LearnedState) -> float:
    """Return the mean effect of the GPUs of a machine."""
    weights = sum(1.0 / effect.variance for effect in state.machines.values())
    return sum(effect.mean / effect.variance for effect in state.machines.values()) / weights if weights else 0.0


def _machine_levels(shapes: Mapping[Key, Sequence[tuple[int, Learned]]]) -> dict[int, float]:
    """Return how much longer each machine takes than the others, from the shapes that several have run."""
    rows = [effects for key, effects in shapes.items() if _on_gpu(key) and len(effects) > 1]
    levels: dict[int, float] = {}
    for _ in range(ROUNDS):
        sums: defaultdict[int, list[float]] = defaultdict(lambda: [1.0 / MACHINE_SPREAD, 0.0])
        for effects in rows:
            mean = _merged([_shifted(effect, -levels.get(number, 0.0)) for number, effect in effects], 0.0).mean
            for number, effect in effects:
                precision = 1.0 / (effect.variance + INTERACTION)
                sums[number][0] += precision
                sums[number][1] += precision * (effect.mean - mean)
        levels = {number: pull / precision for number, (precision, pull) in sums.items()}
    return levels


def _difference(own: Mapping[Key, Learned], priors: Mapping[Key, Learned]) -> float:
    """Return by how much the effects of a state are above those of priors, for shapes that both have."""
    precision, pull = 1.0 / MACHINE_SPREAD, 0.0
    for key in own.keys() & priors.keys():
        if _on_gpu(key):
            weight = 1.0 / (own[key].variance + priors[key].variance)
            precision += weight
            pull += weight * (own[key].mean - priors[key].mean)
    return pull / precision


def _merged(effects: Sequence[Learned], spread: float) -> Learned:
    """Return the mean of effects, weighted by their precision. `spread` is added to its variance."""
    weights = [1.0 / (effect.variance + INTERACTION) for effect in effects]
    total = sum(weights)

    def mean(values: Iterable[float]) -> float:
        return sum(weight * value for weight, value in zip(weights, values, strict=True)) / total

    return Learned(
        mean(effect.mean for effect in effects),
        1.0 / total + spread,
        _runs(effects),
        mean(effect.noise for effect in effects),
        mean(effect.together for effect in effects),
    )


def _runs(effects: Sequence[Learned]) -> float:
    """Return the runs behind effects. Those that came with priors are the same ones on each machine."""
    imported = max(effect.imported for effect in effects)
    return imported + sum(effect.runs - effect.imported for effect in effects)


def _merged_tiers(states: Iterable[LearnedState]) -> dict[str, Learned]:
    """Return the speeds of tiers, merged."""
    tiers: defaultdict[str, list[Learned]] = defaultdict(list)
    for state in states:
        for name, effect in state.tiers.items():
            tiers[name].append(effect)
    return {name: _merged(effects, HOSTS_DIFFER) for name, effects in tiers.items()}


def _common_header(states: Sequence[LearnedState]) -> StateHeader:
    """Return what the headers of all states have in common. Priors are for other images and GPUs than their own."""
    names = [header_field.name for header_field in fields(StateHeader) if header_field.name not in ("image", "gpu")]
    values = {name: {getattr(state.header, name) for state in states} for name in names}
    return StateHeader(**{name: texts.pop() for name, texts in values.items() if len(texts) == 1})

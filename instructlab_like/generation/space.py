"""The space of a simulation's parameters: its size, its order, and the part of it that is kept for evaluation.

Training and evaluation never meet: one combination of parameters in five, chosen by a hash of the values themselves,
belongs to evaluation, whatever the seed. A space of fewer than 25 combinations is all training and holds nothing out.
"""

from __future__ import annotations

import itertools
import keyword
import math
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from instructlab_like.confined.simulated import WEIGHT as WEIGHT
from instructlab_like.confined.wire import FUNCTIONS
from instructlab_like.records import ChoiceParameter, IntegerParameter, Parameter, Plain, SampleParameter, digest

SIMULATION = "simulation/1"
EVALUATION_SHARE = 5  # one combination in so many is kept for evaluation
SMALLEST_SPLIT = 25  # combinations below which nothing is held out
ENUMERATED = 20_000  # up to so many combinations are listed and shuffled; of more, values are drawn
PARAMETERS = 100  # of a simulation
OUTERMOST = 20  # values of a choice that are tried first
SHOWN = 60  # characters of a name
WHOLE = 2**63  # beyond which JSON's readers do not agree on a number
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED = {*FUNCTIONS, "loop", "self", "varargs", "kwargs", "caller"}

Drawn = Plain | tuple[Plain, ...]
Values = dict[str, Drawn]


class Space:
    """All combinations of the parameters, parted by what every one of the questions tells (`told`, names of each)."""

    def __init__(self, parameters: Mapping[str, Parameter], told: Sequence[Collection[str]]) -> None:
        self.parameters = parameters
        # Two draws that read alike agree on what every question tells, so that part alone decides the side.
        shared = sorted(set(parameters).intersection(*told))
        self.deciding = shared if self._size(shared) >= SMALLEST_SPLIT else sorted(parameters)
        self.parted = self._size(self.deciding) >= SMALLEST_SPLIT

    def _size(self, names: Collection[str]) -> int:
        return math.prod(_size(self.parameters[name]) for name in names)

    def evaluates(self, values: Values) -> bool:
        """Whether these values belong to evaluation. A hash decides, so no seed or order can change it."""
        told = [[name, values[name]] for name in self.deciding]
        return self.parted and int(digest([SIMULATION, told])[:12], 16) % EVALUATION_SHARE == 0

    def draws(self, questions: Sequence[str], rng: random.Random) -> Iterator[tuple[Values, str]]:
        """Values with a question: every combination once in each phrasing, or endless draws of a larger space."""
        if self._size(self.parameters) > ENUMERATED:
            while True:
                values = self._drawn(rng)
                yield values, rng.choice(questions)
        listed = self._all()
        rng.shuffle(listed)
        first = [rng.randrange(len(questions)) for _ in listed]
        for turn in range(len(questions)):
            for values, start in zip(listed, first, strict=True):
                yield values, questions[(start + turn) % len(questions)]

    def trials(self, count: int) -> list[Values]:
        """`count` combinations or all that there are, the same ones every time, those with an outermost value first."""
        if self._size(self.parameters) <= count:
            return self._all()
        rng = random.Random("trial")
        outermost = [
            {**self._drawn(rng), name: value}
            for name, parameter in self.parameters.items()
            for value in _outermost(parameter)
        ]
        return (outermost + [self._drawn(rng) for _ in range(count)])[:count]

    def _drawn(self, rng: random.Random) -> Values:
        return {name: _value(parameter, rng) for name, parameter in self.parameters.items()}

    def _all(self) -> list[Values]:
        choices = [_all(parameter) for parameter in self.parameters.values()]
        return [dict(zip(self.parameters, values, strict=True)) for values in itertools.product(*choices)]


def _size(parameter: Parameter) -> int:
    match parameter:
        case IntegerParameter(low=low, high=high, step=step):
            return (high - low) // step + 1
        case ChoiceParameter(of=of):
            return len(of)
        case SampleParameter(of=of, count=count):
            return math.perm(len(of), count)


def _value(parameter: Parameter, rng: random.Random) -> Drawn:
    match parameter:
        case IntegerParameter(low=low, step=step):
            return low + step * rng.randrange(_size(parameter))
        case ChoiceParameter(of=of):
            return rng.choice(of)
        case SampleParameter(of=of, count=count):
            return tuple(rng.sample(of, count))


def _all(parameter: Parameter) -> list[Drawn]:
    match parameter:
        case IntegerParameter(low=low, high=high, step=step):
            return list(range(low, high + 1, step))
        case ChoiceParameter(of=of):
            return list(of)
        case SampleParameter(of=of, count=count):
            return list(itertools.permutations(of, count))


def _outermost(parameter: Parameter) -> list[Drawn]:
    """The values with which a template is most likely to fail."""
    match parameter:
        case IntegerParameter(low=low, high=high, step=step):
            steps = range(low, high + 1, step)
            return list(dict.fromkeys([steps[0], steps[-1], *(n for n in (-1, 0, 1) if n in steps)]))
        case ChoiceParameter(of=of):
            return list(of[:OUTERMOST])
        case SampleParameter(of=of, count=count):
            return [tuple(of[:count]), tuple(reversed(of))[:count]]


def problems(parameters: Mapping[str, Parameter]) -> list[str]:
    """What is wrong with the parameters themselves, each text opening with the field."""
    if len(parameters) > PARAMETERS:
        return [f"parameters: there are {len(parameters)}, more than {PARAMETERS} → use fewer"]
    found = [text for name, parameter in parameters.items() for text in _problems(name, parameter)]
    weight = sum(_weight(parameter) for parameter in parameters.values())
    if weight > WEIGHT:
        found.append(f"parameters: one draw can hold {weight} characters and items, more than {WEIGHT} → shorten them")
    return found


def _problems(name: str, parameter: Parameter) -> Iterator[str]:
    field = f"parameters.{name if len(name) <= SHOWN else name[:SHOWN] + '…'}"
    if not NAME.fullmatch(name) or name in RESERVED or keyword.iskeyword(name):
        yield f"{field}: is no name for a template → letters, digits and _, no word of its language"
    if isinstance(parameter, IntegerParameter):
        if max(abs(parameter.low), abs(parameter.high), parameter.step) >= WHOLE:
            yield f"{field}: holds a number of more than 63 bits → use smaller numbers"
        elif parameter.low > parameter.high:
            yield f"{field}: low {parameter.low} is above high {parameter.high} → exchange them"
        return
    if any(not _usable(value) for value in parameter.of):
        yield f"{field}.of: holds a number of more than 63 bits, or none at all → use plain numbers"
    different = len({(type(value), value) for value in parameter.of})
    if different < len(parameter.of):
        yield f"{field}.of: holds a value twice → name each value once"
    if isinstance(parameter, SampleParameter) and parameter.count > different:
        yield f"{field}: takes {parameter.count} of {different} values → lower count or name more values"


def _usable(value: str | int | float) -> bool:
    if isinstance(value, int):
        return abs(value) < WHOLE
    return isinstance(value, str) or math.isfinite(value)


def _weight(parameter: Parameter) -> int:
    """At most so many characters and items are drawn."""
    if isinstance(parameter, IntegerParameter):
        return 1
    weights = sorted((len(value) if isinstance(value, str) else 1 for value in parameter.of), reverse=True)
    return sum(weights[: parameter.count]) + parameter.count if isinstance(parameter, SampleParameter) else weights[0]

"""What a full run would ask of a teacher: calls, tokens, money and time, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from instructlab_like.preview.facts import Cost, Figure
from instructlab_like.records import Completion, Prompt

CHARACTERS = 4.0  # a token, where no teacher has counted: usual for English, too many for most other languages


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a million tokens, in whatever currency they were given."""

    tokens_in: float
    tokens_out: float


@dataclass(frozen=True, slots=True)
class Experience:
    """What is known of a teacher from its answers: by call key, the answer and the seconds that it took."""

    answers: Mapping[str, Completion]
    seconds: Mapping[str, float]
    concurrency: int


NOBODY = Experience({}, {}, 1)


def cost(prompts: Sequence[Prompt], known: Sequence[Prompt], experience: Experience, *, prices: Prices | None) -> Cost:
    """The cost of asking `prompts`; rates are measured on those of `known` that have been answered.

    Both may hold a call key more than once: it is asked once.
    """
    distinct = {prompt.key: prompt for prompt in prompts}
    measured = {prompt.key: prompt for prompt in known if prompt.key in experience.answers}
    tokens_in = _tokens_in(list(distinct.values()), measured, experience)
    tokens_out = _tokens_out(list(distinct.values()), measured, experience)
    return Cost(
        calls=Figure(value=len(distinct), bound="exact", basis="the prompts of the full plan, each asked once"),
        answered=sum(key in experience.answers for key in distinct),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        money=_money(tokens_in, tokens_out, prices),
        seconds=_seconds(len(distinct), experience),
    )


def _tokens_in(prompts: Sequence[Prompt], measured: Mapping[str, Prompt], experience: Experience) -> Figure:
    characters = sum(map(_length, prompts))
    counted = [
        (_length(prompt), tokens)
        for key, prompt in measured.items()
        if (tokens := experience.answers[key].prompt_tokens)
    ]
    if not counted:
        basis = f"{characters:,} characters of the prompts as rendered, {CHARACTERS:g} characters a token"
        return Figure(value=round(characters / CHARACTERS), bound="about", basis=basis)
    rate = sum(length for length, _ in counted) / sum(tokens for _, tokens in counted)
    basis = (
        f"{characters:,} characters of the prompts as rendered, {rate:.2f} characters a token as the teacher counted "
        f"in {len(counted)} of its answers"
    )
    return Figure(value=round(characters / rate), bound="about", basis=basis)


def _tokens_out(prompts: Sequence[Prompt], measured: Mapping[str, Prompt], experience: Experience) -> Figure:
    if not measured:
        most = sum(prompt.sampling.max_tokens for prompt in prompts)
        return Figure(value=most, bound="at most", basis="max_tokens of every call: no teacher was asked")
    answers = [experience.answers[key] for key in measured]
    counted = [answer.completion_tokens for answer in answers if answer.completion_tokens is not None]
    if counted:
        mean = sum(counted) / len(counted)
        basis = f"{mean:.0f} a call, the mean of {len(counted)} answers as the teacher counted"
    else:
        mean = sum(len(answer.text) for answer in answers) / CHARACTERS / len(answers)
        basis = f"{mean:.0f} a call, the mean of {len(answers)} answers at {CHARACTERS:g} characters a token"
    return Figure(value=round(mean * len(prompts)), bound="about", basis=basis)


def _money(tokens_in: Figure, tokens_out: Figure, prices: Prices | None) -> Figure:
    if prices is None:
        return Figure.unknown("no prices were given: --price-in and --price-out, for a million tokens")
    assert tokens_in.value is not None
    assert tokens_out.value is not None
    value = (tokens_in.value * prices.tokens_in + tokens_out.value * prices.tokens_out) / 1_000_000
    basis = f"{prices.tokens_in:g} and {prices.tokens_out:g} for a million tokens in and out, of the tokens above"
    return Figure(value=round(value, 6), bound=tokens_out.bound, basis=basis)


def _seconds(calls: int, experience: Experience) -> Figure:
    if not calls:
        return Figure(value=0, bound="exact", basis="nothing is asked")
    if not experience.seconds:
        return Figure.unknown("no answer was timed: name a teacher")
    mean = sum(experience.seconds.values()) / len(experience.seconds)
    together = min(experience.concurrency, calls)
    basis = f"{mean:.2f} s a call, the mean of {len(experience.seconds)} answers, {together} calls at once"
    return Figure(value=round(mean * calls / together, 3), bound="about", basis=basis)


def _length(prompt: Prompt) -> int:
    return sum(len(message.content) for message in prompt.messages)

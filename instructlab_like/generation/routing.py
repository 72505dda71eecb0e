"""Which of several teachers is asked in a role, leaf by leaf: by kind, branch, price, and what each has shown. Pure.

Decided once, before anything is asked, from the recipe, the leaves and the counts of earlier runs; nothing that happens
while the answers come in changes it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from instructlab_like.errors import RecipeError
from instructlab_like.filters.parts.separation import wilson
from instructlab_like.flows import Flow, LeafKind, kind_of
from instructlab_like.recipe import GenerateRecipe, QualityRecipe, RouteRecipe, TeacherRecipe
from instructlab_like.records import Leaf, Record

KINDS: tuple[LeafKind, ...] = ("knowledge", "freeform", "grounded")
KNOWLEDGE = "knowledge"  # the folder below which all knowledge leaves lie, and no others
IN, OUT = 3, 1  # tokens by which two prices become one: of a prompt, and of its answer
WROTE = ""
NAMED = 3  # leaves that are named of those that nobody qualifies for


class Shown(Record):
    """What a teacher has shown in an earlier run: how many of its samples the judges kept, with a 95 % interval."""

    run: str
    role: str  # that it had there; "": it never had the one in question, and these are the answers that it wrote
    kept: int
    judged: int
    share: float
    low: float
    high: float


class Candidate(Record):
    """A teacher that a rule names, and whether it qualifies."""

    rule: int  # from 1, in the role's order
    teacher: str
    model: str  # its identity
    price_in: float | None
    price_out: float | None
    quality: Shown | None
    qualifies: bool
    chosen: bool = False  # by its rule
    why: str


class Route(Record):
    """Who is asked in a role for a leaf. `teacher` is None where no rule takes the leaf: whom the recipe names then."""

    leaf: str
    kind: LeafKind
    role: str
    teacher: str | None
    model: str
    forced: bool = False
    rule: int | None = None
    why: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """Samples of an earlier run that a model had a part in, in one role and for one leaf.

    With the role `WROTE` those whose answer it wrote, whatever role it had.
    """

    leaf: str
    kind: str
    role: str
    model: str
    kept: int
    judged: int


def under(leaf: str, branch: str) -> bool:
    """Whether a leaf is the one of that path, or lies below it."""
    return f"{leaf}/".startswith(f"{branch.strip('/')}/")


def takes(rule: RouteRecipe, leaf: str, kind: str) -> bool:
    within = not rule.leaves or any(under(leaf, branch) for branch in rule.leaves)
    return within and (not rule.kinds or kind in rule.kinds)


def blended(told: TeacherRecipe) -> float | None:
    """Of a million tokens, three in to one out."""
    if told.price_in is None or told.price_out is None:
        return None
    return (IN * told.price_in + OUT * told.price_out) / (IN + OUT)


# --- what can be known to be wrong ------------------------------------------------------------------------------------


def check(flows: Sequence[Flow], recipe: GenerateRecipe, identities: Mapping[str, str]) -> None:
    """Raises RecipeError for a route that names what there is not, and for a rule that can never be reached.

    `identities` are those of the recipe's `teachers`, by name.
    """
    twins(identities)
    needed = list(dict.fromkeys(role for flow in flows for role in flow.roles))
    for field, told in (("routes", recipe.routes), ("forced_routes", recipe.forced_routes)):
        for role in told:
            if role not in needed:
                fix = near(role, needed, "roles of the chosen flows")
                raise RecipeError(f"no chosen flow has a role {role!r}", where=f"{field}.{role}", fix=fix)
    for role, name in recipe.forced_routes.items():
        known(name, recipe, f"forced_routes.{role}")
    for role, rules in recipe.routes.items():
        if not rules:
            raise RecipeError("has no rule", where=f"routes.{role}", fix="name a teacher, or leave the role out")
        for number, rule in enumerate(rules, start=1):
            for name in rule.teachers:
                known(name, recipe, place(role, number))
            if len(set(rule.teachers)) < len(rule.teachers):
                raise RecipeError("names a teacher twice", where=place(role, number), fix="name each once")
            reached(role, number, rules)


def place(role: str, number: int) -> str:
    return f"routes.{role}, rule {number}"


def near(name: str, there: Sequence[str], called: str) -> str:
    found = difflib.get_close_matches(name, there, n=1)
    return f"did you mean {found[0]!r}?" if found else f"{called}: {', '.join(there) or 'none'}"


def known(name: str, recipe: GenerateRecipe, where: str) -> None:
    if name not in recipe.teachers:
        fix = near(name, list(recipe.teachers), "`teachers` of the recipe")
        raise RecipeError(f"there is no teacher {name!r}", where=where, fix=fix)


def twins(identities: Mapping[str, str]) -> None:
    names: dict[str, str] = {}
    for name, identity in identities.items():
        if other := names.get(identity):
            what = f"{other!r} and {name!r} are the same model, {identity}: no answer could be told to be of the one"
            raise RecipeError(what, where="teachers", fix="give one teacher both addresses (url: [.., ..])")
        names[identity] = name


def reached(role: str, number: int, rules: Sequence[RouteRecipe]) -> None:
    """Whether there can be a leaf that comes to the rule, past those before it."""
    rule, where = rules[number - 1], place(role, number)
    for branch in rule.leaves:
        parts = branch.strip("/").split("/")
        if set(branch) & set("*?[]") or {"", ".", ".."} & set(parts):
            what = f"{branch!r} is no path of a leaf or a branch"
            raise RecipeError(what, where=where, fix="a branch takes all leaves below it: knowledge/science")
    cells = [(kind, branch) for kind in rule.kinds or KINDS for branch in rule.leaves or (None,) if fits(kind, branch)]
    if not cells:
        fix = f"knowledge leaves lie below {KNOWLEDGE}/, skills do not"
        raise RecipeError("takes no leaf: none of its kinds is in its branches", where=where, fix=fix)
    before = [[n for n, one in enumerate(rules[: number - 1], start=1) if stops(one, rule, *cell)] for cell in cells]
    if all(before):
        first = min(map(min, before))
        what = f"is never reached: rule {first} takes every leaf that it takes"
        raise RecipeError(what, where=where, fix=f"put it before rule {first}, or leave it out")


def fits(kind: str, branch: str | None) -> bool:
    return branch is None or (kind == "knowledge") == (branch.strip("/").split("/")[0] == KNOWLEDGE)


def stops(one: RouteRecipe, later: RouteRecipe, kind: str, branch: str | None) -> bool:
    """Whether no leaf of a kind and branch gets from one rule to a later one with somebody left to choose there."""
    if one.kinds and kind not in one.kinds:
        return False
    if one.leaves and (branch is None or not any(under(branch.strip("/"), wide) for wide in one.leaves)):
        return False
    asked, then = one.quality, later.quality
    if asked is None:
        return True
    weaker = then is not None and asked.run == then.run and asked.at_least <= then.at_least
    return weaker and one.leaves == later.leaves and set(later.teachers) <= set(one.teachers)


# --- the decision -----------------------------------------------------------------------------------------------------


def decide(
    flows: Sequence[Flow],
    recipe: GenerateRecipe,
    leaves: Iterable[Leaf],
    identities: Mapping[str, str],
    standing: Mapping[str, str],
    history: Mapping[str, Sequence[Work]],
) -> tuple[Route, ...]:
    """The route of each leaf and role that `routes` or `forced_routes` name, in the order of leaves and roles.

    `identities` are those of `teachers` by name, `standing` of whom the recipe names by role, `history` the work of the
    earlier runs by name. Raises RecipeError where a leaf is left without anybody, naming all such leaves.
    """
    routes: list[Route] = []
    lacking: dict[tuple[str, str], list[str]] = {}  # by role and reason, the leaves
    deciders = {role: Decider(recipe, role, identities, history) for role in recipe.routes}
    for leaf in leaves:
        kind = kind_of(leaf)
        for role in dict.fromkeys(role for flow in flows if flow.takes(leaf) for role in flow.roles):
            if name := recipe.forced_routes.get(role):
                told = {"leaf": leaf.path, "kind": kind, "role": role, "teacher": name, "model": identities[name]}
                routes.append(Route.model_validate({**told, "forced": True, "why": "forced"}))
                continue
            if role not in deciders:
                continue
            found = deciders[role].route(leaf.path, kind, standing.get(role))
            if isinstance(found, Route):
                routes.append(found)
            else:
                lacking.setdefault((role, found), []).append(leaf.path)
    if lacking:
        raise nobody(lacking)
    return tuple(routes)


def nobody(lacking: Mapping[tuple[str, str], Sequence[str]]) -> RecipeError:
    told = []
    for (role, why), leaves in lacking.items():
        more = f" and {len(leaves) - NAMED} more" if len(leaves) > NAMED else ""
        told.append(f"no teacher qualifies as {role} of {', '.join(leaves[:NAMED])}{more}: {why}")
    fix = "ask for less, or end the role's rules with one that has no `quality`"
    return RecipeError(
        "; ".join(told), where=", ".join(dict.fromkeys(f"routes.{role}" for role, _ in lacking)), fix=fix
    )


@dataclass(frozen=True)
class Decider:
    """Chooses for one role."""

    recipe: GenerateRecipe
    role: str
    identities: Mapping[str, str]
    history: Mapping[str, Sequence[Work]]

    @cached_property
    def rules(self) -> tuple[RouteRecipe, ...]:
        return self.recipe.routes[self.role]

    @cached_property
    def weighed(self) -> dict[tuple[int, str], tuple[Candidate, ...]]:
        """The candidates of a rule for a kind of leaf: the same for all leaves of that kind that it takes."""
        return {
            (number, kind): self.ranked([*self.candidates(number, rule, kind)])
            for number, rule in enumerate(self.rules, start=1)
            for kind in KINDS
        }

    def ranked(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """With the cheapest chosen of those that qualify, and what speaks against the others."""
        best = min((one for one in candidates if one.qualifies), key=self.dearness, default=None)
        found = []
        for one in candidates:
            if one is best:
                found.append(one.model_copy(update={"chosen": True}))
            elif best is not None and one.qualifies:
                found.append(one.model_copy(update={"why": f"{one.why}; {self.dearer(one, best)}"}))
            else:
                found.append(one)
        return tuple(found)

    def dearer(self, one: Candidate, best: Candidate) -> str:
        (unknown, price), (_, least) = self.dearness(one), self.dearness(best)
        if self.dearness(one) == self.dearness(best):
            return f"not cheaper than {best.teacher}, which is named before it"
        return f"no price, as {best.teacher} has" if unknown else f"dearer than {best.teacher}, {price:g} to {least:g}"

    def route(self, leaf: str, kind: LeafKind, standing: str | None) -> Route | str:
        """The leaf's route, or why there is none."""
        seen: list[Candidate] = []
        passed: list[str] = []
        for number, rule in enumerate(self.rules, start=1):
            if not takes(rule, leaf, kind):
                continue
            candidates = self.weighed[number, kind]
            seen += candidates
            best = next((one for one in candidates if one.chosen), None)
            if best is not None:
                fit = sum(one.qualifies for one in candidates)
                only = f"the only one of {len(candidates)} that qualifies"
                how = f"the cheapest of {fit} that qualify" if fit > 1 else only
                how = "the one that it names" if len(candidates) == 1 else how
                before = f"nobody qualifies by rule {' and '.join(passed)}; " if passed else ""
                return Route(
                    leaf=leaf,
                    kind=kind,
                    role=self.role,
                    teacher=best.teacher,
                    model=best.model,
                    rule=number,
                    why=f"{before}rule {number}: {how}",
                    candidates=tuple(seen),
                )
            passed.append(str(number))
        if passed:
            return "; ".join(f"rule {one.rule}: {one.teacher}: {one.why}" for one in seen)
        if standing is None:
            return "no rule takes it, and neither `roles` nor `teacher` names anybody"
        why = "no rule takes it: whom `roles` or `teacher` names"
        return Route(leaf=leaf, kind=kind, role=self.role, teacher=None, model=standing, why=why)

    def dearness(self, one: Candidate) -> tuple[bool, float]:
        """Those without a price come last, for nobody knows what they cost; of equals the first is taken."""
        price = blended(self.recipe.teachers[one.teacher])
        return price is None, price or 0.0

    def candidates(self, number: int, rule: RouteRecipe, kind: str) -> Iterator[Candidate]:
        for name in rule.teachers:
            told, model = self.recipe.teachers[name], self.identities[name]
            shown = self.shown(rule, rule.quality, kind, model) if rule.quality else None
            qualifies, why = self.verdict(rule, kind, shown)
            yield Candidate(
                rule=number,
                teacher=name,
                model=model,
                price_in=told.price_in,
                price_out=told.price_out,
                quality=shown,
                qualifies=qualifies,
                why=why,
            )

    def shown(self, rule: RouteRecipe, wanted: QualityRecipe, kind: str, model: str) -> Shown | None:
        """What a model has shown on leaves of that kind that the rule takes; None: nothing.

        In the role; one that never had it there, by the answers that it wrote.
        """
        mine = [
            work
            for work in self.history[wanted.run]
            if work.model == model and work.kind == kind and takes(rule, work.leaf, kind)
        ]
        for role in (self.role, WROTE):
            kept = sum(work.kept for work in mine if work.role == role)
            judged = sum(work.judged for work in mine if work.role == role)
            if judged:
                low, high = wilson(kept / judged, judged)
                share = kept / judged
                return Shown(run=wanted.run, role=role, kept=kept, judged=judged, share=share, low=low, high=high)
        return None

    def verdict(self, rule: RouteRecipe, kind: str, shown: Shown | None) -> tuple[bool, str]:
        wanted = rule.quality
        if wanted is None:
            return True, "no quality is asked for"
        if shown is None:
            within = f" below {' or '.join(rule.leaves)}" if rule.leaves else ""
            return False, f"unknown: in {wanted.run} it made no judged sample on {kind} leaves{within}"
        what = "" if shown.role else f" (answers that it wrote there; it was never {self.role})"
        told = f"{shown.kept} of {shown.judged} kept in {shown.run}{what}, {shown.low:.3f} to {shown.high:.3f}"
        if shown.low >= wanted.at_least:
            return True, f"{told}: at least {wanted.at_least:g}"
        return False, f"{told}: the lower end is less than {wanted.at_least:g}"


# --- seats ------------------------------------------------------------------------------------------------------------


def seat(role: str, teacher: str) -> str:
    """A role as one of several teachers has it; roles have no colon."""
    return f"{role}: {teacher}"


def seats(routes: Iterable[Route]) -> dict[tuple[str, str], str]:
    """By leaf and role, the seat of whoever is asked there, where a route chose it."""
    return {(one.leaf, one.role): seat(one.role, one.teacher) for one in routes if one.teacher is not None}


def overview(routes: Sequence[Route]) -> Iterator[str]:
    """A line for each role: who is asked for how many leaves."""
    for role in dict.fromkeys(one.role for one in routes):
        mine = [one for one in routes if one.role == role]
        counts = Counter(one.teacher or f"{one.model} (no rule)" for one in mine)
        forced = ", forced" if mine[0].forced else ""
        each = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        leaves = "leaf" if len(mine) == 1 else "leaves"
        yield f"route of {role}: {each} of {len(mine)} {leaves}{forced}"

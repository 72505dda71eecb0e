"""Planted strays among the samples of a leaf: foreign, code, noise, another world; and small groups, which stay."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, Trade, made, name
from instructlab_like.records import Sample

FLOORS = Floors(recall=0.9, precision=0.95)
RARE = 30  # cases for each stray: more of one sort would be a group of their own
WORLDS = (
    "Dribble low, fake left, then release before your defender jumps; coaches call it a stepback jumper.",
    "Mitochondria oxidise pyruvate, pumping protons across an inner membrane until ATP synthase spins.",
    "Sauté shallots in butter, deglaze using dry vermouth, fold through crème fraîche, season, serve immediately.",
    "Our plaintiff alleges negligence; counsel moves to dismiss pursuant to Rule 12, citing lack of standing.",
    "Quantum bits decohere unless shielded; surface codes spread logical states over many noisy physical ones.",
    "Pluck strings near their bridge for brighter tone, dampening unwanted resonance using your palm.",
    "Inflation expectations anchor bond yields, yet term premia widen whenever central banks shrink balance sheets.",
    "Apply two coats of primer, sand lightly using 220 grit, wipe clean, then roll eggshell paint evenly.",
    "Subduction drags wet oceanic crust downward, lowering melting points so magma feeds volcanic arcs above.",
    "Tap Settings, choose Privacy, disable ad tracking, reboot your phone, confirm changes through email.",
    "Hamlet hesitates because conscience, grief, doubt and theology collide inside one brilliant, brooding mind.",
    "Dose paracetamol every six hours, hydrate, monitor fever, seek urgent care if breathing becomes laboured.",
)
ABROAD = (
    "Am Bahnhof wartete niemand, also ging sie zu Fuß durch den Regen nach Hause und kochte sich einen starken Tee.",
    "Después de cenar salimos a caminar por la playa, hablamos de política y volvimos cuando empezó a llover.",
    "Le musée ferme ses portes à dix-huit heures, mais la librairie reste ouverte jusqu'à minuit pendant l'été.",
    "Dopo la partita i ragazzi andarono tutti insieme a mangiare una pizza vicino alla vecchia cattedrale.",
    "昨天晚上我们全家一起去看了一场关于宇宙探索的电影，回家的路上大家都讨论得非常热烈。",
    "Вчера вечером мы долго говорили о музыке, пили чай с малиной и смотрели старые семейные фотографии.",
    "ਕੱਲ੍ਹ ਸ਼ਾਮ ਅਸੀਂ ਸਾਰੇ ਮਿਲ ਕੇ ਪੁਰਾਣੀਆਂ ਤਸਵੀਰਾਂ ਵੇਖੀਆਂ ਅਤੇ ਚਾਹ ਪੀਤੀ।",
)
CODE = (
    "SELECT customer_id, SUM(total) FROM orders JOIN users USING (uid) GROUP BY customer_id HAVING SUM(total) > 99;",
    "const debounce = (fn, ms) => { let t; return (...all) => { clearTimeout(t); t = setTimeout(fn, ms, ...all); }; };",
    "for i in range(len(xs)): if xs[i] % 2 == 0: ys.append(xs[i] ** 2) else: continue; print(sorted(ys)[::-1])",
    "docker run --rm -it -v $PWD:/src alpine:3.20 sh -c 'apk add gcc make musl-dev && cd src && make install'",
    ".card { display: grid; gap: 1rem; border-radius: 8px; box-shadow: 0 1px 3px rgba(0,0,0,.2); overflow: hidden }",
)
LATER = ("the winter fair", "its tug boat", "a moonlit skating race", "that brass band", "a pear tart contest")


def stray(trade: Trade, text: str) -> Sample:
    words = text.split()
    middle = len(words) // 2
    return made(" ".join(words[:middle]), " ".join(words[middle:]), leaf=leaf(trade))


def leaf(trade: Trade) -> str:
    return f"knowledge/planted/{trade.name}"


def noise(rng: random.Random, trade: Trade) -> Sample:
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9))) for _ in range(rng.randint(10, 30))]
    return stray(trade, " ".join(words))


def plain(rng: random.Random, trade: Trade) -> Sample:
    return made(trade.question(rng), trade.passage(rng, rng.randint(1, 3)), leaf=leaf(trade))


def short(rng: random.Random, trade: Trade) -> Sample:
    return made(trade.short(rng), trade.draw(rng)["other"], leaf=leaf(trade))


def long(rng: random.Random, trade: Trade) -> Sample:
    return made(trade.question(rng), trade.passage(rng, rng.randint(8, 14)), leaf=leaf(trade))


def group(rng: random.Random, trade: Trade) -> Sample:
    """One of a few samples on something that the rest of the leaf never speaks of."""
    what = LATER[TRADES.index(trade) % len(LATER)]
    asked = rng.choice(("Who watches {w} with {n}?", "Does {n} win {w}?", "When did {n} first attend {w}?"))
    told = rng.choice(
        (
            "{n} wins {w} on frozen canals, cheered by schoolchildren with lanterns and cocoa.",
            "Schoolchildren with lanterns follow {w} along frozen canals; {n} hands out cocoa.",
            "Cocoa, lanterns and frozen canals: to {n} nothing beats {w}, cheered by schoolchildren.",
        )
    )
    return made(asked.format(w=what, n=name(rng)), told.format(w=what, n=name(rng)), leaf=leaf(trade))


Make = Callable[[random.Random, Trade], Sample]
BAD: dict[str, Make] = {
    "another world": lambda rng, trade: stray(trade, rng.choice(WORLDS)),
    "another language": lambda rng, trade: stray(trade, rng.choice(ABROAD)),
    "code": lambda rng, trade: stray(trade, rng.choice(CODE)),
    "noise": noise,
}
GOOD: dict[str, Make] = {
    "a usual sample": plain,
    "a very short sample": short,
    "a very long sample": long,
    "one of a small group": group,
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """One in thirty is a stray; no text is given twice to a leaf."""
    given: set[str] = set()
    for number in range(count):
        bad = number % RARE == 0
        kind, make = rng.choice(list((BAD if bad else GOOD).items()))
        sample = make(rng, rng.choice(TRADES))
        if sample.id not in given:
            given.add(sample.id)
            yield Case(kind, (sample,), bad)

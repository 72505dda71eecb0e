"""Questions with answers of a few sentences in several languages, whose facts can be exchanged one by one.

A slot in braces holds a fact; `[is|is not]` says the opposite with a negation, `<opens|closes>` with another word.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

CHOICE = re.compile(r"\[([^|\]]*)\|([^\]]*)\]|<([^|>]*)\|([^>]*)>")
NEGATED, TURNED = "[", "<"


@dataclass(frozen=True)
class Topic:
    question: str
    sentences: tuple[str, ...]  # of which an answer has some, in this order


@dataclass(frozen=True)
class Language:
    name: str
    slots: Mapping[str, tuple[str, ...]]
    syllables: tuple[str, ...]
    topics: tuple[Topic, ...]
    spaced: bool = True

    def named(self, rng: random.Random) -> str:
        return "".join(rng.sample(self.syllables, rng.randint(2, 3))).capitalize()

    def drawn(self, rng: random.Random, sentences: int = 3) -> Telling:
        """A topic with facts drawn for it."""
        topic = rng.choice(self.topics)
        chosen = sorted(rng.sample(range(len(topic.sentences)), min(sentences, len(topic.sentences))))
        facts = {slot: value for slot, values in self.slots.items() for value in [rng.choice(values)]}
        for slot in ("place", "other_place", "person", "rival"):
            facts[slot] = self.named(rng)
        facts |= {"year": str(rng.randint(1620, 2021)), "n": str(rng.randint(4, 960)), "m": str(rng.randint(13, 99))}
        sides = {NEGATED: rng.randint(0, 1), TURNED: rng.randint(0, 1)}
        return Telling(self, topic.question, tuple(topic.sentences[at] for at in chosen), facts, sides)


@dataclass(frozen=True)
class Telling:
    """A question and an answer with their facts."""

    language: Language
    question: str
    sentences: tuple[str, ...]
    facts: Mapping[str, str]
    sides: Mapping[str, int]

    def texts(self) -> tuple[str, str]:
        joined = (" " if self.language.spaced else "").join(self.sentences)
        question, answer = (self.filled(text) for text in (self.question, joined))
        return question[0].upper() + question[1:], answer[0].upper() + answer[1:]

    def filled(self, text: str) -> str:
        def side(found: re.Match[str]) -> str:
            kind, pair = (NEGATED, found.group(1, 2)) if found[1] is not None else (TURNED, found.group(3, 4))
            return str(pair[self.sides[kind]])

        return re.sub("  +", " ", CHOICE.sub(side, text).format(**self.facts)).strip()

    def asks(self, slot: str) -> bool:
        return f"{{{slot}}}" in self.question

    def with_other(self, rng: random.Random, slot: str) -> Telling:
        """The same with another fact in that slot."""
        now = self.facts[slot]
        value = now
        while value == now:
            value = self.language.drawn(rng).facts[slot]
        return Telling(self.language, self.question, self.sentences, {**self.facts, slot: value}, self.sides)

    def with_others(self, rng: random.Random) -> Telling:
        """The same sentences about other facts altogether."""
        facts = self.language.drawn(rng).facts
        return Telling(self.language, self.question, self.sentences, facts, self.sides)

    def turned(self, kind: str) -> Telling:
        """The same the other way round, where it is asked about."""
        sides = {**self.sides, kind: 1 - self.sides[kind]}
        return Telling(self.language, self.question, self.sentences, self.facts, sides)

    def with_roles_exchanged(self) -> Telling:
        facts = {**self.facts, "person": self.facts["rival"], "rival": self.facts["person"]}
        return Telling(self.language, self.question, self.sentences, facts, self.sides)


LATIN_TEXT = "bo ka li mo nu pe ri sa te vi zo dra fle gri sto wen hal"
LATIN = tuple(LATIN_TEXT.split())


def language(name: str, slots: str, *topics: tuple[str, ...], syllables: tuple[str, ...] = LATIN) -> Language:
    lines = (line.partition(":") for line in slots.strip().splitlines())
    values = {slot.strip(): tuple(value.strip() for value in listed.split("|")) for slot, _, listed in lines}
    spaced = name not in ("Chinese", "Japanese")
    return Language(name, values, syllables, tuple(Topic(topic[0], topic[1:]) for topic in topics), spaced)


ENGLISH = language(
    "English",
    """
    thing: telescope|hospital|vineyard|printing press|ferry|greenhouse|observatory|tannery|reservoir|orchestra
    other: pump|ledger|cable|generator|scaffold|kiln|antenna|compressor|filter|winch|mould
    quality: fragile|porous|rusty|polished|spare|borrowed|oversized|brittle|portable|leaking
    who: apprentices|nurses|auditors|volunteers|divers|surveyors|singers|tenants|referees|pharmacists
    what: permits|blankets|seedlings|invoices|samples|spare parts|recordings|batteries|maps|uniforms
    """,
    (
        "When does the {thing} in {place} [admit|not admit] {who}, and what do they have to bring?",
        "The {thing} in {place} [admits|does not admit] {who} on weekdays between eight and noon.",
        "Everybody has to bring {what} and sign a {quality} register that {person} introduced in {year}.",
        "At the gate a guard <opens|closes> the {other} once the bell has rung for the {m}rd time.",
        "Groups of more than {n} people must write to the office at least two weeks ahead.",
        "What is left behind is kept in {other_place} until somebody asks for it.",
    ),
    (
        "Who paid for the {other} of the {thing} after the fire of {year}?",
        "After the fire of {year} the {other} of the {thing} was paid for by {person}, a dealer in {what}.",
        "The insurance [covered|never covered] more than {n} crowns, so {who} collected the rest at fairs.",
        "A {quality} plate above the door still shows the names of all donors in small letters.",
        "The architect had <raised|lowered> his price twice before {other_place} agreed to the plan.",
        "It took {m} weeks to bring the stones up the hill with carts that were far too light.",
    ),
    (
        "How can {who} tell that a {quality} {other} is about to fail?",
        "A {quality} {other} hums for about {n} seconds before it fails, and its case gets <warmer|colder> than usual.",
        "Experienced {who} put a hand on the lid and listen for a rattle under the left hinge.",
        "They [should|should not] switch it off at once, as a handbook by {person} advises on page {m}.",
        "In {place} such a fault stopped the {thing} for a whole season in {year}.",
        "Replacing the seal early costs little compared with what a flood in the cellar would cost.",
    ),
    (
        "Why did {person} beat {rival} in the final at {place}?",
        "In the final at {place} {person} beat {rival} because the referee had allowed a {quality} board.",
        "Both had trained with {who} for {n} days, but only one of them slept before the match.",
        "The crowd [believed|did not believe] the result until a photograph was printed in {year}.",
        "Bets on the <first|last> round were paid out in {what}, as the bank had no coins left.",
        "A rematch in {other_place} was called off when snow covered the pitch.",
    ),
    (
        "Is it allowed to store {what} next to the {thing} of {place}?",
        "Storing {what} next to the {thing} of {place} [is|is not] allowed, because fumes from the {other} spoil them.",
        "An inspector named {person} wrote the rule in {year}, after {n} boxes had been lost.",
        "{who} keep theirs in the <upper|lower> room, behind a {quality} curtain that lets air through.",
        "Whoever ignores the rule pays a fine of {m} crowns and carries everything home again.",
        "A similar rule in {other_place} was dropped when nobody could remember what it was for.",
    ),
)
GERMAN = language(
    "German",
    """
    thing: Sternwarte|Gärtnerei|Druckerei|Molkerei|Seilbahn|Apotheke|Werkstatt|Kelterei
    other: Pumpe|Leiter|Waage|Kurbel|Leitung|Kammer|Presse
    quality: rostige|geliehene|undichte|schwere|brüchige|polierte
    who: Lehrlinge|Prüfer|Taucher|Sängerinnen|Pächter|Helfer
    what: Decken|Rechnungen|Setzlinge|Proben|Karten|Ersatzteile
    """,
    (
        "Wer bezahlte die {other} der {thing} von {place} nach dem Brand von {year}?",
        "Nach dem Brand von {year} bezahlte {person} die {other} der {thing} von {place} fast ganz allein.",
        "Die Versicherung deckte [damals|damals nicht] mehr als {n} Gulden, weshalb {who} auf Märkten sammelten.",
        "Eine {quality} Tafel über der Tür nennt noch heute alle Spender in kleiner Schrift.",
        "Es dauerte {m} Wochen, bis die Steine mit viel zu leichten Karren den Hügel hinaufgebracht waren.",
        "Der Baumeister hatte seinen Preis zweimal <erhöht|gesenkt>, bevor {other_place} dem Plan zustimmte.",
    ),
    (
        "Darf man {what} neben der {thing} in {place} lagern?",
        "Neben der {thing} in {place} darf man {what} [|nicht] lagern, weil Dämpfe aus der {other} ihnen schaden.",
        "Ein Aufseher namens {person} schrieb die Regel im Jahr {year}, als {n} Kisten verloren gegangen waren.",
        "{who} bringen ihre eigenen in den <oberen|unteren> Raum hinter einen Vorhang, der Luft durchlässt.",
        "Wer sich daran nicht hält, zahlt {m} Gulden Strafe und trägt alles wieder nach Hause.",
    ),
    (
        "Woran erkennen {who}, dass eine {quality} {other} bald ausfällt?",
        "Eine {quality} {other} brummt etwa {n} Sekunden lang, bevor sie ausfällt, und wird <wärmer|kälter> als sonst.",
        "Erfahrene {who} legen eine Hand auf den Deckel und horchen, ob unter dem Scharnier etwas klappert.",
        "In {place} legte ein solcher Schaden die {thing} im Jahr {year} für einen ganzen Sommer still.",
        "Ein Handbuch von {person} rät auf Seite {m}, die Dichtung lieber zu früh als zu spät zu tauschen.",
    ),
)
SPANISH = language(
    "Spanish",
    """
    thing: imprenta|lechería|botica|bodega|curtiduría|central|panadería
    other: bomba|balanza|prensa|escalera|manivela|caldera
    quality: oxidada|prestada|frágil|pesada|pulida|rota
    who: aprendices|inspectores|buzos|voluntarios|inquilinos|cantantes
    what: mantas|facturas|semillas|muestras|cartas|herramientas
    """,
    (
        "¿Quién pagó la {other} de la {thing} de {place} después del incendio de {year}?",
        "Después del incendio de {year}, la {other} de la {thing} de {place} la pagó {person}, que vendía {what}.",
        "El seguro [cubría|no cubría] más de {n} monedas, de modo que los {who} reunieron el resto en las ferias.",
        "Una placa {quality} sobre la puerta muestra todavía los nombres de quienes dieron dinero.",
        "Se tardó {m} semanas en subir las piedras por la colina con carros demasiado ligeros.",
    ),
    (
        "¿Se pueden guardar {what} al lado de la {thing} de {place}?",
        "Al lado de la {thing} de {place} [se|no se] pueden guardar {what}, por los vapores de la {other}.",
        "Una inspectora llamada {person} escribió la regla en {year}, cuando ya se habían perdido {n} cajas.",
        "Los {who} dejan las suyas en la sala de <arriba|abajo>, detrás de una cortina que deja pasar el aire.",
        "Quien no respeta la regla paga {m} monedas y se lleva todo de vuelta a casa.",
    ),
)
FRENCH = language(
    "French",
    """
    thing: imprimerie|laiterie|pharmacie|tannerie|centrale|boulangerie|verrerie
    other: pompe|balance|presse|échelle|manivelle|chaudière
    quality: rouillée|prêtée|fragile|lourde|polie|fendue
    who: apprentis|inspecteurs|plongeurs|bénévoles|locataires|chanteurs
    what: couvertures|factures|graines|cartes|pièces|échantillons
    """,
    (
        "Qui a payé la {other} de la {thing} de {place} après l'incendie de {year} ?",
        "Après l'incendie de {year}, la {other} de la {thing} de {place} a été payée par {person}, marchand de {what}.",
        "L'assurance [couvrait|ne couvrait pas] plus de {n} pièces, si bien que des {who} ont réuni le reste.",
        "Une plaque {quality} au-dessus de la porte montre encore les noms de ceux qui ont donné.",
        "Il a fallu {m} semaines pour monter les pierres sur la colline avec des chariots bien trop légers.",
    ),
    (
        "Peut-on garder des {what} à côté de la {thing} de {place} ?",
        "À côté de la {thing} de {place}, on [peut|ne peut pas] garder des {what}, à cause des vapeurs de la {other}.",
        "Une inspectrice nommée {person} a écrit la règle en {year}, quand {n} caisses avaient déjà été perdues.",
        "Les {who} laissent les leurs dans la salle du <haut|bas>, derrière un rideau qui laisse passer l'air.",
        "Celui qui ne respecte pas la règle paie {m} pièces et remporte tout chez lui.",
    ),
)
CHINESE = language(
    "Chinese",
    """
    thing: 天文台|印刷厂|牛奶场|药房|温室|缆车站|酿酒坊
    other: 水泵|天平|压榨机|锅炉|梯子|发电机
    quality: 生锈的|借来的|漏水的|笨重的|磨光的
    who: 学徒|检查员|潜水员|志愿者|租户
    what: 毛毯|账单|种子|样品|地图|零件
    """,
    (
        "{year}年火灾之后，{place}{thing}的{other}是谁出钱修的？",
        "{year}年火灾之后，{place}{thing}的{other}主要由做{what}生意的{person}出钱修好。",
        "当时的保险[只能|不能]赔付超过{n}两银子，于是{who}在集市上募集了剩下的部分。",
        "门上方一块{quality}牌子至今还用小字刻着所有捐款人的姓名。",
        "用太轻的小车把石料运上山坡，前后花了{m}个星期。",
    ),
    (
        "可以把{what}放在{place}的{thing}旁边吗？",
        "{what}[可以|不可以]放在{place}的{thing}旁边，因为从{other}里冒出来的蒸汽会影响它们。",
        "一位名叫{person}的检查员在{year}年写下这条规定，那时已经丢了{n}箱东西。",
        "{who}把自己的那些放在<上|下>面的房间里，挂着一块能透气的布帘。",
        "违反规定的人要交{m}块钱罚款，还得把所有东西搬回家。",
    ),
    syllables=tuple("柳桂梅松竹兰溪岭湖塘坪桥祥瑞庆丰嘉泰"),
)
JAPANESE = language(
    "Japanese",
    """
    thing: 天文台|印刷所|牛乳工場|薬局|温室|酒蔵|製粉所
    other: ポンプ|はかり|圧搾機|ボイラー|はしご|発電機
    quality: 錆びた|借り物の|水の漏れる|重い|磨かれた
    who: 見習いたち|検査員たち|潜水士たち|ボランティアたち
    what: 毛布|請求書|種|見本|地図|部品
    """,
    (
        "{year}年の火事のあと、{place}の{thing}の{other}の費用はだれが払いましたか。",
        "{year}年の火事のあと、{place}の{thing}の{other}の費用は、{what}を商う{person}が払いました。",
        "保険は{n}両より多くは[払われ、|払われず、]{who}が市で残りを集めました。",
        "扉の上の{quality}板には、今も寄付をした人の名前が小さな字で並んでいます。",
        "軽すぎる荷車で石を丘の上まで運ぶのに、{m}週間かかりました。",
    ),
    (
        "{place}の{thing}のとなりに{what}を置いてもよいですか。",
        "{place}の{thing}のとなりに{what}を置いては[よいです|いけません]。{other}から出る湯気がかかるためです。",
        "{person}という検査員が{year}年にこの決まりを書いたとき、もう{n}箱がなくなっていました。",
        "{who}は自分のものを<上|下>の部屋に、風の通る布のうしろに置きます。",
        "守らない人は{m}円を払い、すべてを家に持ち帰ります。",
    ),
    syllables=tuple("柳桂梅松竹藤沢浜岡崎村瀬"),
)
LETTERS = (GERMAN, SPANISH, FRENCH)
CHARACTERS = (CHINESE, JAPANESE)

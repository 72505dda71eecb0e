"""Words by which a translation is compared: numerals, days, months, denials, titles and places of several languages."""

from __future__ import annotations

from collections.abc import Mapping

from instructlab_like.filters.parts.figure_words import FOREIGN, SMALL

Table = Mapping[str, Mapping[str, int]]  # by language, by word


def table(text: str) -> dict[str, int]:
    return {word: int(value) for *words, value in (row.split() for row in text.split("|")) for word in words}


POLISH = table(
    "jeden jedna jedno jednego jednej jednym jedną 1|dwa dwie dwoje dwóch dwu dwóm dwoma dwiema 2"
    "|trzy trzech trzem trzema troje 3|cztery czterech czterem czterema czworo 4|pięć pięciu pięcioma pięcioro 5"
    "|sześć sześciu sześcioma 6|siedem siedmiu siedmioma 7|osiem ośmiu ośmioma 8|dziewięć dziewięciu 9"
    "|dziesięć dziesięciu 10|jedenaście jedenastu 11|dwanaście dwunastu 12|trzynaście trzynastu 13"
    "|czternaście czternastu 14|piętnaście piętnastu 15|szesnaście szesnastu 16|siedemnaście siedemnastu 17"
    "|osiemnaście osiemnastu 18|dziewiętnaście dziewiętnastu 19|dwadzieścia dwudziestu 20|trzydzieści trzydziestu 30"
    "|czterdzieści czterdziestu 40|pięćdziesiąt pięćdziesięciu 50|sześćdziesiąt sześćdziesięciu 60"
    "|siedemdziesiąt siedemdziesięciu 70|osiemdziesiąt osiemdziesięciu 80|dziewięćdziesiąt dziewięćdziesięciu 90"
    "|sto stu 100|dwieście dwustu 200|trzysta trzystu 300|czterysta czterystu 400|pięćset pięciuset 500"
    "|sześćset sześciuset 600|siedemset siedmiuset 700|osiemset ośmiuset 800|dziewięćset dziewięciuset 900"
    "|tysiąc tysiące tysięcy tysiąca tysiącu 1000|milion miliony milionów miliona 1000000|tuzin tuziny tuzinów 12"
)
MORE = {  # beside those of `figure_words`
    "en": table("hundred 100|thousand 1000|million 1000000|dozen 12"),
    "de": table("ein eins eine 1|million millionen 1000000"),
    "fr": table("un une 1|cents 100|vingts 20|dizaine 10|million millions 1000000"),
    "es": table(
        "uno un una 1|veintiuno veintiún 21|veintidós 22|veintitrés 23|veinticuatro 24|veinticinco 25|veintiséis 26"
        "|veintisiete 27|veintiocho 28|veintinueve 29|ciento 100|doscientos doscientas 200|trescientos trescientas 300"
        "|cuatrocientos cuatrocientas 400|quinientos quinientas 500|seiscientos seiscientas 600"
        "|setecientos setecientas 700|ochocientos ochocientas 800|novecientos novecientas 900|millón millones 1000000"
    ),
    "it": table(
        "ventuno 21|ventidue 22|ventitré 23|ventiquattro 24|venticinque 25|ventisei 26|ventisette 27|ventotto 28"
        "|ventinove 29|trentasei 36|duecento 200|trecento 300|quattrocento 400|cinquecento 500|seicento 600"
        "|settecento 700|ottocento 800|novecento 900|duemila 2000|tremila 3000|milione milioni 1000000"
    ),
    "pt": table(
        "um uma 1|quatorze catorze 14|dezesseis dezasseis 16|dezessete dezassete 17|dezoito 18|dezenove dezanove 19"
        "|cento 100|duzentos duzentas 200|trezentos trezentas 300|quatrocentos 400|quinhentos 500|seiscentos 600"
        "|setecentos 700|oitocentos 800|novecentos 900|milhão milhões 1000000"
    ),
    "nl": table("eenentwintig 21|tweeëntwintig 22|miljoen 1000000"),
}
NUMERALS: Table = {
    "en": {**SMALL, **MORE["en"]},
    **{code: {**FOREIGN[code], **MORE[code]} for code in ("de", "fr", "es", "it", "pt", "nl")},
    "pl": POLISH,
}
AMBIGUOUS = frozenset(("neuf", "sei", "acht", "score"))  # mean something else as often: borne out, never claimed
# What bears out a two.
TWICE_TEXT = """both twice pair couple double beide beiden beides zweimal doppelt paar tous toutes paire ambos ambas
doble par dobles entrambi entrambe doppio paio dobro dubbel tweemaal oba obie obu obydwa obydwie obojga dwukrotnie
podwójnie para parę obydwoje oboje"""
TWICE = frozenset(TWICE_TEXT.split())
AND = frozenset(("and", "und", "et", "y", "e", "i", "en"))  # within a spelled number


def numbered(text: str) -> dict[str, int]:
    """Words by the number of their cell, counted from 1."""
    return {word: number for number, cell in enumerate(text.split("|"), start=1) for word in cell.split()}


DAYS: Table = {
    "en": numbered(
        "monday mondays|tuesday tuesdays|wednesday wednesdays|thursday thursdays|friday fridays|saturday saturdays"
        "|sunday sundays"
    ),
    "de": numbered(
        "montag montags|dienstag dienstags|mittwoch mittwochs|donnerstag donnerstags|freitag freitags"
        "|samstag samstags sonnabend sonnabends|sonntag sonntags"
    ),
    "fr": numbered(
        "lundi lundis|mardi mardis|mercredi mercredis|jeudi jeudis|vendredi vendredis|samedi samedis|dimanche dimanches"
    ),
    "es": numbered("lunes|martes|miércoles|jueves|viernes|sábado sábados|domingo domingos"),
    "it": numbered("lunedì|martedì|mercoledì|giovedì|venerdì|sabato|domenica"),
    "pt": numbered("segunda-feira|terça-feira|quarta-feira|quinta-feira|sexta-feira|sábado|domingo"),
    "nl": numbered("maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag"),
    "pl": numbered(
        "poniedziałek poniedziałku poniedziałki poniedziałkiem|wtorek wtorku wtorki wtorkiem"
        "|środa środę środy środzie środą|czwartek czwartku czwartki czwartkiem|piątek piątku piątki piątkiem"
        "|sobota sobotę soboty sobocie sobotą|niedziela niedzielę niedziele niedzieli niedzielą"
    ),
}
MONTHS: Table = {
    "en": numbered("january|february|march|april|may|june|july|august|september|october|november|december"),
    "de": numbered("januar jänner|februar|märz|april|mai|juni|juli|august|september|oktober|november|dezember"),
    "fr": numbered("janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"),
    "es": numbered(
        "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre setiembre|octubre|noviembre|diciembre"
    ),
    "it": numbered("gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre"),
    "pt": numbered("janeiro|fevereiro|março|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro"),
    "nl": numbered("januari|februari|maart|april|mei|juni|juli|augustus|september|oktober|november|december"),
    "pl": numbered(
        "styczeń stycznia styczniu|luty lutego lutym|marzec marca marcu|kwiecień kwietnia kwietniu|maj maja maju"
        "|czerwiec czerwca czerwcu|lipiec lipca lipcu|sierpień sierpnia sierpniu|wrzesień września wrześniu"
        "|październik października październiku|listopad listopada listopadzie|grudzień grudnia grudniu"
    ),
}
COMMON = frozenset(("may", "march", "mars", "marzo", "maja", "sabato", "august", "juin"))  # names or verbs, too
VERBS = frozenset(("may", "march"))  # months only with a capital that no sentence gives them

NOT = {
    code: frozenset(text.split())
    for code, text in {
        "en": "not never no none nobody nothing nowhere neither nor cannot",
        "de": "nicht kein keine keinen keinem keiner keines nie niemals niemand niemanden nichts nirgends weder",
        "fr": "ne n pas",
        "es": "no nunca jamás ningún ninguno ninguna nadie tampoco",
        "it": "non mai nessun nessuno nessuna niente nulla né",
        "pt": "não nunca jamais nenhum nenhuma ninguém",
        "nl": "niet geen nooit niemand niets nergens",
        "pl": "nie nigdy nikt nikogo nikomu żaden żadna żadne żadnego żadnej żadnych ani",
    }.items()
}
ANSWERS = frozenset(("no", "nein", "non", "não", "nee", "nie"))  # before a comma: an answer, and no denial
# What denies without a word for "not".
WITHOUT_TEXT = """erst dopiero shut without ohne sans sin senza sem zonder bez unable impossible unmöglich imposible
impossibile impossível onmogelijk niemożliwe niemożliwy brak brakuje lacks lack lacking missing fehlt fehlen manque
manquent falta faltan manca fails fail failed refuse refuses refused closed geschlossen fermé fermée cerrado cerrada
chiuso chiusa fechado gesloten zamknięte zamknięta zamknięty forbidden verboten interdit interdite prohibido vietato
proibido zabronione except außer sauf excepto salvo only nur seulement solo sólo tylko instead statt niezbędny"""
WITHOUT = frozenset(WITHOUT_TEXT.split())

# Before a name, or written with a capital out of politeness: no part of a name.
COURTESY_TEXT = """m mm mme mmes mlle monsieur messieurs madame mesdames mademoiselle sr sra srta señor señora
señorita don doña sig signor signora signorina dott senhor senhora dona meneer mevrouw mijnheer heer pan pani państwo
panu panie pana panem panią pań panom paniom twój twoja twoje twojego twojej ty ci cię tobie wy was wam wasz wasza
wasze lei le la suo sua usted ustedes ud uds u uw vous votre vos nous mr mrs ms dr prof herr frau dear lieber liebe
sie ihr ihre ihren ihrem ihnen name nom nombre imię nazwisko adres adresse"""
COURTESY = frozenset(COURTESY_TEXT.split())
# What a language calls nations and their tongues has a capital in English alone.
NATIONS_TEXT = """english german french spanish italian portuguese dutch polish russian ukrainian czech slovak
hungarian romanian bulgarian greek turkish arabic hebrew persian hindi chinese japanese korean swedish danish
norwegian finnish estonian latvian lithuanian irish scottish welsh british american canadian mexican brazilian
argentinian australian european african asian indian austrian swiss belgian roman latin jewish muslim christian
catholic protestant orthodox buddhist hindu christmas easter new-year internet"""
NATIONS = frozenset(NATIONS_TEXT.split())
# Places that every language calls by a name of its own: a row is one place.
PLACES_TEXT = """london londres londra londyn|paris paryż parigi parys|vienna wien vienne viena wiedeń|munich
münchen monaco monachium|cologne köln colonia kolonia|rome rom roma rzym|venice venedig venise venecia venezia
wenecja|florence florenz firenze florencia florencja|milan mailand milano milán mediolan|naples neapel napoli nápoles
neapol|prague prag praga|warsaw warschau varsovie varsovia varsavia warszawa|moscow moskau moscou moscú mosca
moskwa|geneva genf genève ginebra ginevra genewa|brussels brüssel bruxelles bruselas bruxelas bruksela|antwerp
antwerpen anvers amberes antwerpia|lisbon lissabon lisbonne lisboa lisbona lizbona|athens athen athènes atenas atene
ateny|copenhagen kopenhagen copenhague copenaghen kopenhaga|cracow krakow krakau cracovie cracovia kraków|zurich
zürich zúrich zurigo zurych|basel basle bâle basilea bazylea|hamburg hambourg hamburgo amburgo|berlin berlín
berlino|stockholm estocolmo stoccolma sztokholm|edinburgh edimbourg edimburgo edynburg|dublin dublín dublino|bordeaux
burdeos|marseille marsella marsiglia marsylia|strasbourg straßburg estrasburgo strasburgo strasburg|nice nizza niza
nicea|seville sevilla séville siviglia sewilla|turin torino turín turyn|genoa genua gênes génova genova|germany
deutschland allemagne alemania germania alemanha duitsland niemcy|france frankreich francia frança frankrijk
francja|spain spanien espagne españa spagna espanha spanje hiszpania|italy italien italie italia itália italië
włochy|poland polen pologne polonia polônia polska|england angleterre inglaterra inghilterra engeland anglia|scotland
schottland écosse escocia scozia schotland szkocja|wales galles gales walia|ireland irland irlande irlanda ierland
irlandia|austria österreich autriche áustria oostenrijk|switzerland schweiz suisse suiza svizzera suíça zwitserland
szwajcaria|belgium belgien belgique bélgica belgio belgië belgia|netherlands niederlande pays-bas países-bajos
paesi-bassi nederland holandia|denmark dänemark danemark dinamarca danimarca denemarken dania|sweden schweden suède
suecia svezia zweden szwecja|norway norwegen norvège noruega norvegia noorwegen norwegia|finland finnland finlande
finlandia|portugal portogallo portugalia|greece griechenland grèce grecia griekenland grecja|turkey türkei turquie
turquía turchia turkije turcja|russia russland russie rusia rusland rosja|ukraine ucrania ucraina oekraïne
ukraina|hungary ungarn hongrie hungría ungheria hongarije węgry|europe europa|asia asien asie azja|africa afrika
afrique áfrica afryka|america amerika amérique américa ameryka|china chine cina|japan japon japón giappone japão
japonia|india indien inde índia indie|egypt ägypten égypte egipto egitto egypte egipt|danube donau danubio dunaj|rhine
rhein rhin rin reno rijn ren|alps alpen alpes alpi alpy|mediterranean mittelmeer méditerranée mediterráneo
mediterraneo middellandse śródziemne|atlantic atlantik atlantique atlántico atlantico atlantyk|thames themse tamise
támesis tamigi theems tamiza|earth erde terre tierra terra aarde ziemia|moon mond lune luna maan księżyc|sun sonne
soleil sol sole zon słońce|god gott dieu dios dio deus bóg|bible bibel biblia bibbia|mary maria marie maría"""


def rows(text: str) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for number, cell in enumerate(text.replace("\n", " ").split("|")):
        for word in cell.split():
            found[word] = found.get(word, frozenset()) | {number}
    return found


PLACES = rows(PLACES_TEXT)

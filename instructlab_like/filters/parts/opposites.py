"""Words of which one excludes the other: to put one in the other's place is to say something else."""

from __future__ import annotations

from functools import cache, lru_cache

# One set a line: words that exclude each other. Verbs and adjectives of English stand in their plain form.
ENGLISH = """
increase decrease reduce
grow shrink
rise fall drop
raise lower
expand contract
gain lose
win lose
add subtract remove multiply divide
accept reject refuse decline
allow forbid prohibit prevent
enable disable
start stop end finish
begin end
open close
attach detach
connect disconnect
import export
buy sell
borrow lend
give take
send receive
push pull
create destroy delete
encrypt decrypt
encode decode
compress decompress
install uninstall
load unload
lock unlock
love hate
like dislike
agree disagree
approve disapprove
appear disappear
arrive depart leave
enter exit leave
succeed fail
pass fail
support oppose
strengthen weaken
improve worsen
accelerate decelerate
heat cool
warm cool
freeze melt boil
attract repel
absorb emit reflect
charge discharge
ascend descend
widen narrow
tighten loosen
simplify complicate
include exclude
confirm deny
prove disprove
remember forget
save spend waste
attack defend
build demolish
fill empty
float sink
inhale exhale
laugh cry
hire fire
teach learn
speed slow
read write
upload download
upgrade downgrade
encourage discourage
benefit harm
help hinder harm
cause prevent
precede follow
lead follow
large small
big small little
great small
high low
tall short
long short
wide narrow
deep shallow
thick thin
heavy light
dark light
bright dim dark
hot cold
warm cold cool
fast slow
quick slow
early late
old new
old young
ancient modern
strong weak
hard soft
hard easy
easy difficult
simple complex
rough smooth
sharp blunt
wet dry
clean dirty
full empty
rich poor
cheap expensive
safe dangerous
good bad evil
best worst
better worse
right wrong
right left
correct incorrect
true false
alive dead
awake asleep
male female
public private
positive negative neutral
active passive
direct indirect
internal external
inner outer
interior exterior
upper lower
top bottom
front back rear
near far
absolute relative
abstract concrete
acid base alkaline acidic
analog digital
artificial natural
common rare
concave convex
constant variable
domestic foreign
even odd
singular plural
explicit implicit
final initial
finite infinite
fresh stale
global local
guilty innocent
horizontal vertical
human animal
legal illegal
liquid solid gas
major minor
many few
more less fewer
most least fewest
much little
maximum minimum
maximal minimal
max min
mandatory optional
required optional
synchronous asynchronous
permanent temporary
present absent
present past future
previous next
former latter
primary secondary
raw cooked
senior junior
sweet sour bitter salty
tight loose
urban rural
visible invisible
voluntary compulsory
ascending descending
clockwise anticlockwise counterclockwise
always never sometimes
all none
everything nothing
everyone nobody
everybody nobody
somebody nobody
someone nobody
both neither
before after
above below
over under
up down
in out
inside outside
into from
onto off
on off
with without
for against
upstream downstream
uphill downhill
upstairs downstairs
indoors outdoors
forward backward
forwards backwards
together apart alone
today tomorrow yesterday
day night
morning afternoon
sunrise sunset
dawn dusk
north south east west
northern southern eastern western
northeast northwest southeast southwest
january february march april may june july august september october november december
monday tuesday wednesday thursday friday saturday sunday
spring summer autumn winter
red orange yellow green blue purple violet brown black white grey gray pink
daily weekly monthly yearly annually hourly
second minute hour day week month year decade century
seconds minutes hours days weeks months years decades centuries
millimetre centimetre metre kilometre mile inch foot yard
millimeter centimeter meter kilometer mile inch foot yard
millimetres centimetres metres kilometres miles inches feet yards
millimeters centimeters meters kilometers miles inches feet yards
mm cm km
gram kilogram tonne ounce pound
grams kilograms tonnes ounces pounds
kg mg
litre millilitre gallon pint
litres millilitres gallons pints
celsius fahrenheit kelvin
kilobyte megabyte gigabyte terabyte
kb mb gb tb
percent permille
cause effect
advantage disadvantage
advantages disadvantages drawbacks
pros cons
strength weakness
strengths weaknesses
profit loss
supply demand
input output
income expense
entrance exit
victory defeat
success failure
friend enemy
parent child
mother father
brother sister
son daughter
husband wife
uncle aunt
king queen
boy girl
boys girls
man woman
men women
he she
his her
him her
buyer seller
teacher student pupil
employer employee
doctor patient
landlord tenant
master servant
winner loser
predator prey
attacker defender
client server
sender receiver
producer consumer
author reader
question answer
theory practice
heaven hell
war peace
birth death
life death
numerator denominator
sine cosine tangent
sum difference product quotient
mean median mode
area perimeter volume
radius diameter circumference
prefix suffix
synonym antonym
row column
rows columns
subject object
noun verb adjective adverb
vowel consonant
peak trough
majority minority
minimum maximum average
minuend subtrahend
mammal bird reptile amphibian insect fish
breakfast lunch dinner supper
first second third fourth fifth sixth seventh eighth ninth tenth last
once twice thrice
single double triple
must may need
shall may
should may
smallest largest
lightest heaviest
shortest longest tallest
lowest highest
newest oldest
youngest oldest
earliest latest
slowest fastest
hottest coldest
nearest farthest furthest
cheapest dearest
fewest most
"""
OTHERS = """
steigen sinken fallen
obere untere
oberen unteren
innere äußere
inneren äußeren
maximal minimal
zunehmen abnehmen
steigt sinkt fällt
erhöhen senken verringern
erhöht senkt verringert
öffnen schließen
öffnet schließt
kaufen verkaufen
beginnen enden
beginnt endet
größer kleiner
größte kleinste
größten kleinsten
groß klein
große kleine
großen kleinen
hoch niedrig
hohe niedrige
höher niedriger
höchste niedrigste
lang kurz
lange kurze
länger kürzer
schnell langsam
schneller langsamer
warm kalt
heiß kalt
alt neu jung
alte neue
stark schwach
schwer leicht
hell dunkel
früh spät
früher später
viel wenig
viele wenige
mehr weniger
meisten wenigsten
immer nie niemals
alle keine
vor nach
über unter
oben unten
innen außen
links rechts
mit ohne
vorteil nachteil
vorteile nachteile
ursache wirkung
erste zweite dritte letzte
ersten zweiten dritten letzten
januar februar märz april mai juni juli august september oktober november dezember
montag dienstag mittwoch donnerstag freitag samstag sonntag
frühling sommer herbst winter
norden süden osten westen
nördlich südlich östlich westlich
rot gelb grün blau braun schwarz weiß grau
sekunden minuten stunden tage wochen monate jahre
richtig falsch
mann frau
er sie
augmenter diminuer réduire
augmente diminue réduit
monter descendre
monte descend
monté descendu
supérieur inférieur
supérieure inférieure
supérieurs inférieurs
meilleur pire
augmentent diminuent
intérieur extérieur
maximum minimum
ouvrir fermer
acheter vendre
commencer finir
gagner perdre
grand petit
grande petite
grands petits
haut bas
haute basse
long court
longue courte
rapide lent
chaud froid
chaude froide
vieux jeune nouveau
fort faible
lourd léger
clair sombre
tôt tard
plus moins
toujours jamais
tous aucun
avant après
dessus dessous
dedans dehors
gauche droite
avec sans
avantage inconvénient
avantages inconvénients
cause effet
premier deuxième troisième dernier
première deuxième troisième dernière
janvier février mars avril mai juin juillet août septembre octobre novembre décembre
lundi mardi mercredi jeudi vendredi samedi dimanche
printemps été automne hiver
nord sud est ouest
rouge jaune vert bleu brun noir blanc gris
secondes minutes heures jours semaines mois années
vrai faux
homme femme
aumentar disminuir reducir
aumenta disminuye reduce
subir bajar
sube baja
superior inferior
interior exterior
mejor peor
máximo mínimo
abrir cerrar
comprar vender
empezar terminar
ganar perder
grande pequeño
grandes pequeños
mayor menor
alto bajo
alta baja
largo corto
larga corta
rápido lento
caliente frío
viejo joven nuevo
fuerte débil
pesado ligero
claro oscuro
temprano tarde
más menos
siempre nunca
todos ninguno
antes después
encima debajo
dentro fuera
izquierda derecha
con sin
ventaja desventaja
ventajas desventajas
causa efecto
primero segundo tercero último
primera segunda tercera última
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
lunes martes miércoles jueves viernes sábado domingo
primavera verano otoño invierno
norte sur este oeste
rojo amarillo verde azul marrón negro blanco gris
segundos minutos horas días semanas meses años
verdadero falso
hombre mujer
aumentare diminuire ridurre
aumenta diminuisce riduce
aprire chiudere
comprare vendere
piccolo grande
piccola grande
alto basso
lungo corto
veloce lento
caldo freddo
vecchio giovane nuovo
forte debole
più meno
sempre mai
prima dopo
sopra sotto
sinistra destra
con senza
vantaggio svantaggio
vantaggi svantaggi
primo secondo terzo ultimo
gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
lunedì martedì mercoledì giovedì venerdì sabato domenica
rosso giallo verde blu marrone nero bianco grigio
vero falso
uomo donna
aumentar diminuir reduzir
aumenta diminui reduz
abrir fechar
grande pequeno
rápido lento
quente frio
velho jovem novo
mais menos
sempre nunca
antes depois
esquerda direita
com sem
vantagem desvantagem
janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
groot klein
grote kleine
hoog laag
lang kort
snel langzaam
warm koud
oud jong nieuw
meer minder
altijd nooit
voor na
boven onder
links rechts
met zonder
januari februari maart april mei juni juli augustus september oktober november december
maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
больше меньше
выше ниже
верхний нижний
верхняя нижняя
верхнем нижнем
внутренний внешний
левый правый
высокий низкий
высокая низкая
новый старый
длинный короткий
сильный слабый
горячий холодный
растёт падает
поднимается опускается
повышается понижается снижается
красный зелёный синий жёлтый белый чёрный
январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь
января февраля марта апреля мая июня июля августа сентября октября ноября декабря
север юг восток запад
с без
перед после
всегда никогда
до после
увеличивает уменьшает
большой маленький малый
быстро медленно
первый второй третий последний
大 小
多 少
高 低
上 下
前 后 後
左 右
东 西 南 北
東 西 南 北
增 减 減
升 降
快 慢
长 短
長 短
冷 热 熱
开 关
開 閉 关
买 卖
買 売
进 出
入 出
内 外
男 女
黑 白 红 黄 绿 蓝
真 假
早 晚
新 旧
强 弱
強 弱
深 浅
远 近
遠 近
轻 重
軽 重
胜 败
输 赢
始 终
先 后
春 夏 秋 冬
"""
# What stands before the same rest of a word and turns its meaning round.
ENGLISH_PREFIXES = (
    "un in im il ir dis non mis anti de over under up down out pre post ex sub super intra inter hyper hypo "
    "maxi mini pro macro micro ab en"
)
OTHER_PREFIXES = "miss des dés mal ein aus auf zu vor nach ent be"
PREFIXES = frozenset(f"{ENGLISH_PREFIXES} {OTHER_PREFIXES}".split()) | {""}
STEM = 4  # letters of a word's rest that make it the same
INFLECTIONS = ("", "s", "es", "ed", "d", "ing", "ly", "er", "est", "r", "st")


@cache
def entries() -> dict[str, frozenset[tuple[int, str]]]:
    """Of each word the numbers of its sets and how it stands there; of English ones the inflected forms, too."""
    found: dict[str, set[tuple[int, str]]] = {}
    english = ENGLISH.strip().splitlines()
    for number, line in enumerate([*english, *OTHERS.strip().splitlines()]):
        for word in line.split():
            for form in inflected(word) if number < len(english) else (word,):
                found.setdefault(form, set()).add((number, word))
    return {form: frozenset(words) for form, words in found.items()}


def inflected(word: str) -> set[str]:
    """The word with English endings; some of them are no words, and then stand nowhere."""
    if len(word) < 4:
        return {word, *(f"{stem}{ending}" for stem in (word, word + word[-1]) for ending in ("s", "er", "est"))}
    forms = {word + ending for ending in INFLECTIONS}
    if word.endswith("e"):
        forms |= {f"{word[:-1]}ing", f"{word[:-1]}y"}
    if word.endswith("y"):
        forms |= {f"{word[:-1]}{ending}" for ending in ("ies", "ied", "ier", "iest", "ily")}
    return forms


@lru_cache(maxsize=1 << 14)
def opposed(one: str, other: str) -> bool:
    """Whether two words exclude each other: two of a set, or the same but for a prefix that turns it round."""
    mine, theirs = entries().get(one), entries().get(other)
    if mine and theirs and any(number == its for number, _ in mine for its, _ in theirs):
        return not mine & theirs
    return turned(one, other)


def same_word(one: str, other: str) -> bool:
    """Whether they are two forms of one word: the shorter one's beginning is the longer one's, but for an ending."""
    short, long = sorted((one, other), key=len)
    stem = short.rstrip("edys")
    return len(stem) > 2 and long.startswith(stem) and len(long) - len(stem) <= 4


def turned(one: str, other: str) -> bool:
    """Whether they end alike and begin with two of the prefixes, or one of them with one and the other with none."""
    if len(one) < STEM or len(other) < STEM or one == other:
        return False
    if one.endswith("less") and other.endswith("ful"):
        return one[:-4] == other[:-3]
    if other.endswith("less") and one.endswith("ful"):
        return other[:-4] == one[:-3]
    shared = 0
    while shared < min(len(one), len(other)) and one[-1 - shared] == other[-1 - shared]:
        shared += 1
    return any(
        one[: len(one) - rest] in PREFIXES and other[: len(other) - rest] in PREFIXES
        for rest in range(STEM, shared + 1)
    )

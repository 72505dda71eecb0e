"""Words that carry grammar, numbers and negations, of the languages written most; all case folded."""

from __future__ import annotations

NEGATIONS_TEXT = """
not no never none neither nor nobody nothing nowhere without cannot t hardly yes nicht kein keine keinen
keinem keiner nie niemals niemand nichts ohne ja nein ne n pas jamais sans aucun aucune rien oui non
nunca jamás sin ningún ninguna nadie sí né mai senza nessun nessuno niente não sem nenhum nenhuma sim
niet geen nooit zonder не нет ни никогда без да δεν όχι inte ingen aldrig ikke aldri ej nie nigdy bez nem
nincs değil yok 不 没 沒 无 無 非 未 别 別 否
"""
# "t" is what is left of "isn't"; yes and no are here since one in the other's place says the opposite.
NEGATIONS = frozenset(NEGATIONS_TEXT.split())
NUMBER_WORDS_TEXT = """
zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand
million billion trillion half third thirds quarter zwei drei vier fünf sechs sieben acht neun zehn elf
zwölf zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert tausend millionen
milliarden deux trois quatre cinq sept huit neuf dix onze douze treize quatorze quinze seize vingt trente
quarante cinquante soixante cent mille millions dos tres cuatro cinco seis siete ocho nueve diez once
doce veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien ciento mil millones due tre
quattro cinque sei sette otto nove dieci undici dodici venti trenta quaranta cinquanta cento milioni dois
três quatro sete oito dez onze doze vinte trinta cem milhões twee drie vijf zes zeven negen tien twaalf
twintig honderd duizend miljoen два три четыре пять шесть семь восемь девять десять сто тысяча тысяч
миллион 两 二 三 四 五 六 七 八 九 十 百 千 万 萬 億 亿
"""
NUMBER_WORDS = frozenset(NUMBER_WORDS_TEXT.split())
SIGNS = frozenset("+*/×÷=<>^%-−")
# Words that carry grammar, not matter; any word of up to three letters is taken for one, too.
FUNCTION_TEXT = """
about above after again against all also although always among another any are because been before being
below between both but can could did does doing done down during each either else even ever every few for
from further had has have having hence her here hers herself him himself his how however into its itself
just less like many might more most much must myself now off often once only onto other others our ours
out over own per quite rather really same shall she should since some such than that the their theirs
them themselves then there therefore these they this those though through thus too toward towards under
unless until upon very was well were what when where whereas whether which while who whom whose why will
with within would you your yours yet been having aber alle allem allen aller alles als also andere
anderen auch auf aus bei beim bin bis bist dabei dadurch dafür damit dann daran darauf daraus darin dass
dein deine dem den denn der des dessen deren die dies diese diesem diesen dieser dieses doch dort durch
eher ein eine einem einen einer eines einige einigen etwa etwas euch euer für gegen gewesen haben habe
hatte hatten hier hinter ihm ihn ihnen ihr ihre ihrem ihren ihrer immer in indem ist jede jedem jeden
jeder jedes jener kann können könnte machen man manche mehr mein meine mit muss müssen nach noch nur oder
ohne sehr sein seine seinem seinen seiner seit selbst sich sie sind sobald solche sollte sondern sonst
über um und uns unser unter viel vom von vor während wann waren warum was wegen weil weiter welche
welchem welchen welcher welches wenn werde werden wie wieder will wird wirst wurde wurden würde zum zur
zwar zwischen alors après assez aucun aussi autre autres avant avec avoir aux cela celle celles celui ces
cet cette ceux chaque chez comme comment contre dans depuis des dont donc elle elles encore entre est été
êtes être eux fait faire fois font ils jusque laquelle lequel les lesquels leur leurs lors lorsque lui
mais même mêmes mes moins mon nos notre nous ont par parce pendant peu peut peuvent plus plusieurs pour
pourquoi près puis quand que quel quelle quelles quels quelque quelques qui quoi sans selon ses seulement
sont sous souvent sur tandis tant tel telle tels tous tout toute toutes très trop une vers votre vous
algo algún alguna algunas algunos ante antes aquel aquella aquellos aunque bajo bien cada casi como cómo
con contra cual cuál cuales cualquier cuando cuándo cuanto del desde donde dónde durante ella ellas ellos
era eran esa esas ese eso esos esta está están estar estas este esto estos fue fueron había hace hacia
han hasta hay las les los más mientras mismo misma mucho muchos muy nos nosotros otra otras otro otros
para pero poco por porque pues puede pueden que qué quien quién según ser será sido siempre sino sobre
son sus también tan tanto tiene tienen toda todas todo todos tras una unas uno unos usted varios vez
alcuni alla alle allo anche ancora avere avuto che chi ciascuno cioè col come così cui dagli dal dalla
dalle degli dei del della delle dello dentro dopo dove era erano essere ogni fra gli hanno loro molto nei
nel nella nelle oltre perché però più poco poi presso prima proprio qual quale quali quando quanto quella
quelle quello questa queste questo questi sarà sempre senza solo sono sopra stato stata sua sue sugli sul
sulla suo suoi tra tutta tutte tutti tutto una verso ainda ao aos até cada com das dele dela depois desde
dos ela elas ele eles entre essa esse esta este foi foram isso isto mais mas mesmo muito nas nem nos numa
onde ou para pela pelas pelo pelos pode por quais qual quando que quem são sem ser será seu seus sobre
sua suas também tem têm toda todas todo todos uma umas als altijd andere bij daar dan dat deze die dit
door een eens elke en enkele ervan geweest had hebben heeft hem het hier hij hoe hun iets ik in is ja je
kan kunnen maar meer men met mijn naar niet nog nu of omdat onder ons ook op over te tegen toch toen tot
uit uw van veel voor waar waarom wanneer want waren was wat welke werd werden wie wij worden wordt zal ze
zelf zich zij zijn zo zonder zou
"""
FUNCTION = frozenset(FUNCTION_TEXT.split())
HAN_FUNCTION = frozenset(
    "的了是在和与也都就把被给对从到为以及其之而且或着过地得吗呢吧啊这那个们所于则但因如此很更还又再只能会可要"
)

"""Word lists that tell verbs from nouns in action texts; other words are guessed by their endings."""

from __future__ import annotations

_OTHERS = """
a an the this that these those some any no every each another other both all one two three four five six several many
i you he she it we they me him her us them his its their my your our himself herself itself themselves who which what
someone something somebody anyone everyone of in on at by for from to into onto with without within over under above
below behind between among through across along around about against after before during near off out up down away
back forward forwards backward backwards upside inside outside together apart towards toward via as than like while
until and or but nor so if then not n't 's here there now again very too quickly slowly fast once twice always often
just only also even still is are was were be been being am do does did has have had can could will would shall should
may might must left right clockwise counter counterclockwise anticlockwise upward upwards downward downwards sideways
first last next whole same new old young small large big little tall long short high low wide narrow good bad red blue
green yellow white black brown pink purple grey gray dark light bright pale faint bigger larger smaller longer shorter
higher faster slower nearer farther closer more less most least hot cold wet dry full empty hard soft strong weak
heavy american indoor outdoor human real rapid rapidly
"""

_FUNCTION_WORDS = """
a an the this that these those some any no every each another other both all i you he she it we they me him her us them
his its their my your our himself herself itself themselves who which what someone something somebody anyone everyone
of in on at by for from to with as than while until and or but nor so if then not n't 's here there very too just only
also even still is are was were be been being am do does did has have had can could will would shall should may might
must
"""

_DETERMINERS = """
a an the this these those some any no every each another his her its their my your our of one two three four five 's
"""

_SUBJECTS = "i you he she it we they who which people men women children persons to can could will would may might must"

_VERBS = """
abseil act adjust answer appear applaud apply approach argue arrange arrive assemble attack attempt attend bake
balance bandage bathe beat become begin bend bite blast blend block blow boil bounce bow bowl box braid brake break
breathe brew bring brush build bump burn bury buy busk call capsize carry carve cast catch celebrate change chase
check cheer chew chip chisel choose chop circle clap clean climb close collect color colour comb come complete
concentrate contact contort control convert cook cosplay cough count cover crack crash crawl create cross crouch cry
curl cut cycle dance decorate deliver demonstrate descend dig dip direct disappear dive do draw dress dribble drift
drink drive drop drum dry duck dunk dye eat embrace embroider emerge enter escape excavate exchange exercise exit
expand explain explore express extend extinguish face fade fall feed fence fidget fight fill film find finish fish fix
flap flip float flow fly fold follow forage form freeze fry gain gallop gargle gather gesture get give glide glow go
grab grasp grind grip groom grow guide handle hang happen headbutt heal hear help hide hit hoist hold hop hover huddle
hug hunt hurdle hurl imitate improve inflate insert inspect install interact interpret invite iron jerk jog join
juggle jump keep kick kill kiss knead kneel knit knock laugh launch lay lead leak lean leap learn leave lick lie lift
light limbo listen load look loop lose love lower lunge maintain make manoeuvre maneuver march massage measure meet
melt merge milk mix moan mop mount move mow need nod observe open operate pack paddle paint park part participate pass
pat pay pedal peel perform pet photograph pick pierce pinch pitch place plan plant plaster play plunge point poke
polish pop pose pounce pour practice practise prepare present press prevent print produce propel protect pull pump
punch push put race raise rake reach read rear receive recite record recover reduce relax release remove repair repeat
require rest retrieve return reveal ride rinse rip rise roast rock roll rotate row rub run rush sail sand saw say
scale scatter score scramble scrape scratch scream scrub sculpt see seize select send separate serve set sew shake
shape share sharpen shave shear shine shoot shop shout shove show shred shrink shuck shuffle sign sing sink sip sit
skate ski skip slap sleep slice slide slip smash smell smile smoke snap snatch sneeze sniff snorkel soar somersault
speak spell spin splash spray spread sprint squat squeeze stab stack stand stare start stay steer step stick stir
stomp stop strengthen stretch strike stroke strum struggle study suck surf swallow sway sweep swim swing switch swirl
tackle take talk tap taste teach tear testify text think thread throw tickle tie tighten tilt tiptoe toast toss touch
trade train transform travel tread trim trip tumble turn twiddle twirl twist type unbox unfold unload use utilise
utilize vacuum vanish vault visit wade wag wait wake walk wander wash watch water wave wax wear weave weld whip whisk
whistle wield win wink wipe wrap wrestle write yawn yell zoom kayak skateboard skydive snowboard windsurf breakdance
cartwheel backflip collapse continue die faint limp stagger stumble vomit wipe
"""

_IRREGULAR = """
ate began bent bit blew bought brought built caught chose came cut dealt dove drank drawn drew driven drove dug eaten
fallen fed fell felt flew flown fought found froze gave given goes gone got grew grown heard held hid hung hurt kept
knelt laid lay led leapt lit lost made met mown paid ran ridden risen rode rose said sang sank sat sawn saw seen sent
sewn shaken shaven shone shook shorn shot shrank shrunk slept slid sold spoke sprang spun stood stole struck stuck
sung swam swept swung swum taken taught thrown threw told took tore torn went woke won wore worn wound wove woven
wrote written
"""

_NOUNS = """
ball ballet balloon basketball baseball beer bed bike bird board boat book bread cake camera car cat ceiling
cereal child clay clothing coin concert crowd cup dog door drum egg elephant evening eye fabric
field fire floor food gymnastics hand head hair herring horse hula king leg morning music news paper parking
person piano pudding railing ring rope salsa series shed shoe sibling sled snow species string sushi table tango tennis
thing tires trousers tree video viking water wedding wheel wing wire wood
"""

THINGS = frozenset(["building", "drawing", "meeting", "painting", "recording"])
"""Made by what they are called after: nouns behind a determiner, else verbs."""
OTHERS = frozenset(_OTHERS.split())
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say nothing of an action; directions (`up`, `left`, `clockwise`) do and are not among them."""
DETERMINERS = frozenset(_DETERMINERS.split())
SUBJECTS = frozenset(_SUBJECTS.split())
VERBS = frozenset(_VERBS.split())
IRREGULAR = frozenset(_IRREGULAR.split())
NOUNS = frozenset(_NOUNS.split())
ADJECTIVE_ENDINGS = ("ful", "ous", "ive", "able", "ible", "less", "ish", "wise", "ward", "wards", "ly")

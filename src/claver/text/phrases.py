"""Names of actions as parts of an English sentence: `apply eye makeup` is `applying eye makeup` behind "a person"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from claver.text.lexicon import DETERMINERS, IRREGULAR, VERBS

_GAMES = """
badminton baseball basketball billiards cards chess cricket darts dodgeball football frisbee golf handball hockey
lacrosse netball poker polo rugby snooker soccer softball squash tennis volleyball
"""
_NO_PARTICIPLES = """
anything ceiling evening everything herring morning nothing pudding railing sibling something viking wedding
"""
_ALSO_THINGS = frozenset(["box", "dance", "drum", "face", "fish", "rock", "sand", "step", "water"])
"""Verbs that more often name a thing before another word: `water polo`, `box jump`."""
_BEFORE_A_VERB = frozenset(["begin", "continue", "finish", "go", "keep", "start", "stop"])
_DOUBLED = frozenset(["begin", "control", "forget", "permit", "transfer"])
_SUBJECTS = {
    "baby": "a baby",
    "boy": "a boy",
    "cat": "a cat",
    "child": "a child",
    "dog": "a dog",
    "girl": "a girl",
    "man": "a man",
    "people": "people",
    "person": "a person",
    "player": "a player",
    "someone": "someone",
    "something": "something",
    "woman": "a woman",
}
_ARTICLES = frozenset(["a", "an", "the"])
_PRONOUNS = frozenset(["he", "it", "she", "someone", "something", "they", "we", "you"])

_TABLE = """
archaeological excavation: doing an archaeological excavation
baby crawling: a baby | crawling
backflip (human): doing a backflip
balance beam: exercising on a balance beam
band marching: marching in a band
baseball pitch: pitching a baseball
basketball dunk: dunking a basketball
battle rope training: training with battle ropes
bench press: bench pressing
blow dry hair: blow-drying hair
body weight squats: doing body weight squats
breast stroke: swimming breast stroke
cartwheel: doing a cartwheel
clean and jerk: doing a clean and jerk
crawling baby: a baby | crawling
cricket bowling: bowling in cricket
cricket shot: playing a cricket shot
cumbia: dancing cumbia
fall floor: falling to the floor
field hockey penalty: taking a field hockey penalty
flic flac: doing a flic flac
frisbee catch: catching a frisbee
front crawl: swimming front crawl
golf swing: swinging a golf club
haircut: getting a haircut
hammer throw: throwing the hammer
handstand: doing a handstand
head massage: giving a head massage
head stand: doing a headstand
high jump: doing a high jump
high kick: doing a high kick
historical reenactment: taking part in a historical reenactment
hockey stop: doing a hockey stop
hopscotch: playing hopscotch
horse race: riding in a horse race
hula hoop: spinning a hula hoop
javelin throw: throwing the javelin
jump rope: jumping rope
jumping jack: doing a jumping jack
jumping jacks: doing jumping jacks
karaoke: singing karaoke
long jump: doing a long jump
luge: riding a luge
lunge: doing a lunge
lunges: doing lunges
marriage proposal: making a marriage proposal
military parade: marching in a military parade
mountain climber (exercise): doing the mountain climber exercise
nunchucks: swinging nunchucks
parallel bars: exercising on parallel bars
pillow fight: having a pillow fight
pole vault: doing a pole vault
pommel horse: exercising on a pommel horse
pullup: doing pull-ups
push up: doing push ups
pushup: doing push-ups
rock scissors paper: playing rock scissors paper
rope pushdown: doing a rope pushdown
salsa spin: doing a salsa spin
shot put: putting the shot
shotput: putting the shot
shoot bow: shooting a bow
side kick: doing a side kick
situp: doing a situp
skijet: riding a jet ski
soccer penalty: taking a soccer penalty
somersault: doing a somersault
still rings: exercising on still rings
sword: swinging a sword
sword exercise: doing a sword exercise
table tennis shot: playing a table tennis shot
tennis swing: swinging a tennis racket
triple jump: doing a triple jump
uneven bars: exercising on uneven bars
yo yo: playing with a yo-yo
zumba: dancing zumba
"""
"""Names of the benchmarks that the rules would put clumsily or wrongly; `who | what they do` if not a person."""


class Phrase(NamedTuple):
    """An action within a sentence.

    Attributes:
        doing: what someone is doing: `playing chess`, `doing archery`, `a photo of a person …`. Empty if the name is no
            such thing, but a sentence, a scene or words of another script.
        activity: the same as a thing: `playing chess`, `archery`, `a video of …`.
        who: who does it; empty for anyone.
        finite: whether the name says what someone does, `falls`, and is better left so: `a person falls`. A model that
            learned from such words knows them and not their -ing forms.
    """

    doing: str
    activity: str
    who: str = ""
    finite: bool = False


@lru_cache(maxsize=4096)
def phrase(name: str) -> Phrase:
    """An action's name as part of a sentence, by a table for the benchmarks, else by a few rules.

    A bare verb gets its -ing form; what has one, and what someone `falls` or `sits down`, is left as it is; any other
    English word is something one does, or plays. Most names that begin with an article, a pronoun or a number,
    and those of other scripts, are no phrases.
    """
    plain = " ".join(name.replace("_", " ").split()).rstrip(".!?")
    if known := _table().get(plain.casefold()):
        return known
    words = plain.split()
    if not words or not re.search("[A-Za-z]", plain):
        return Phrase("", plain)
    return _with_subject(words) or _of_anyone(words, plain)


def _with_subject(words: list[str]) -> Phrase | None:
    """`person collecting garbage`, `Something falling like a feather`, `a man surfs a wave`; other clauses are none."""
    first = words[0].lower()
    rest = words[1:] if first in _ARTICLES else words
    who = _SUBJECTS.get(rest[0].lower()) if rest else None
    if who and len(rest) > 1:
        verb = _verb_of(rest[1].lower(), [word.lower() for word in rest[2:]])
        if is_participle(rest[1]) or verb:
            doing = " ".join([participle(verb) if verb else rest[1], *rest[2:]])
            return Phrase(doing, f"{who} {doing}", who)
    return Phrase("", " ".join(words)) if first in _PRONOUNS | DETERMINERS else None


def _of_anyone(words: list[str], plain: str) -> Phrase:
    first, rest = words[0].lower(), [word.lower() for word in words[1:]]
    if is_participle(first):
        doing = " ".join([first, *words[1:]])
        return Phrase(doing, doing)
    if verb := _verb_of(first, rest):
        doing, finite = " ".join([participle(verb), *words[1:]]), first not in VERBS and first.endswith("s")
        return Phrase(doing, plain if finite else doing, finite=finite)
    if any(map(is_participle, rest)):
        return Phrase(plain, plain)
    if first in IRREGULAR or not plain.isascii():
        return Phrase("", plain)
    return Phrase(f"{'playing' if plain.lower() in _GAMES.split() else 'doing'} {plain}", plain)


@lru_cache(maxsize=1)
def _table() -> dict[str, Phrase]:
    rows = (line.split(": ") for line in _TABLE.strip().splitlines())
    parts = {name: what.rpartition(" | ") for name, what in rows}
    # Of a thing that is done the activity is that thing: "a video of a high jump."
    return {
        name: Phrase(doing, f"{who} {doing}" if who else doing.removeprefix("doing "), who)
        for name, (who, _, doing) in parts.items()
    }


def _verb_of(first: str, rest: list[str]) -> str | None:
    """The verb that a name begins with, in its base form."""
    if rest and (rest[0] == "ups" or f"{first} {rest[0]}" in ("push up", "pull up", "sit up", "chin up", "press up")):
        return None
    if first in VERBS:
        thing = first in _ALSO_THINGS and rest and rest[0] not in DETERMINERS
        of_another = len(rest) == 1 and rest[0] in VERBS  # squat jump
        compound = first not in _BEFORE_A_VERB and any(map(is_participle, rest[:1] + rest[-1:]))  # tap dancing
        return None if thing or of_another or compound else first
    return next((base for base in bases(first) if base in VERBS), None)


def is_participle(word: str) -> bool:
    """Whether a word is a verb's -ing form, by its look: `skiing`, not `swing`."""
    plain = word.lower().strip("(),")
    return plain.endswith("ing") and bool(re.search("[aeiouy]", plain[:-3])) and plain not in _NO_PARTICIPLES.split()


def participle(verb: str) -> str:
    """A verb's -ing form: `tie` to `tying`, `shake` to `shaking`, `run` to `running`, `eat` to `eating`."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    short = re.fullmatch(r"(?:[^aeiou]*|[^aeiou]*qu)[aeiou][^aeiouwxy]", verb)
    return verb + (verb[-1] if short or verb in _DOUBLED else "") + "ing"


def bases(word: str) -> Iterator[str]:
    """What a word may be a third person or past of: carries, goes, stops, hopped, moved, jumped."""
    for ending, instead in (("ies", "y"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", ""), ("d", "")):
        if word.endswith(ending):
            base = word[: len(word) - len(ending)] + instead
            yield base
            if len(base) > 3 and base[-1] == base[-2]:
                yield base[:-1]

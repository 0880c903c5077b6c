"""What is said about the motion dataset: captions of stills that name some of their states, and texts of the verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from claver.motion.verbs import VERBS, Verb

_VERB_TEMPLATES = ("{}", "a shape {}", "a shape that {}", "a video of a shape that {}", "a clip in which a shape {}")


def still_caption(states: Mapping[str, str], wording: int = 0) -> str:
    """A caption that names the given states (keys of `motion.STATES`) and no others.

    Args:
        states: such as `{"shape": "star", "place": "at the top left"}`.
        wording: any number; it picks the order of words where there is a choice.
    """
    adjectives = [states[name] for name in ("opacity", "size", "colour") if name in states]
    words = [*adjectives, states.get("shape", "shape")]
    noun = ("an " if words[0][0] in "aeiou" else "a ") + " ".join(words)
    direction = f"pointing {states['direction']}" if "direction" in states else ""
    place = states.get("place", "")
    orders = [f"{noun} {place} {direction}", f"{noun} {direction} {place}", f"{place} {noun} {direction}"]
    return " ".join(orders[wording % len(orders)].split())


def verb_texts(verb: Verb) -> tuple[str, ...]:
    """The texts of a verb: each way to say it in each template, the same number for every verb."""
    return tuple(template.format(phrase) for phrase in (verb.name, *verb.phrases) for template in _VERB_TEMPLATES)


def class_texts(verbs: Sequence[Verb] = VERBS) -> dict[str, tuple[str, ...]]:
    """The texts of each verb, by its name."""
    return {verb.name: verb_texts(verb) for verb in verbs}

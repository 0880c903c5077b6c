"""Template texts: an action put behind a prefix or before a suffix (Table 11, "Prefix-Suffix")."""

from __future__ import annotations

import re
from collections.abc import Sequence

from claver.errors import ClaverError
from claver.text.phrases import Phrase, phrase

NAME_ONLY = ("{}",)
PREFIXES = (
    "a video of {activity}.",
    "a photo of a person {doing}.",
    "a person is {doing}.",
    "someone can be seen {doing}.",
)
SUFFIXES = ("{activity}, a human action.", "{activity}, filmed from nearby.", "{activity}, as it happens.")
DEFAULT_TEMPLATES = (*NAME_ONLY, *PREFIXES, *SUFFIXES)
"""The bare name first, then prefix and suffix forms, in which a name stands in the form that suits its sentence."""
PLAIN_TEMPLATES = (
    *NAME_ONLY,
    "a video of {}.",
    "a photo of a person {}.",
    "a person is {}.",
    "someone can be seen {}.",
    "{}, a human action.",
    "{}, filmed from nearby.",
    "{}, as it happens.",
)
"""The same with every name as it is, grammatical or not: "a photo of a person archery."."""
_NO_PHRASE = {
    "a video of {activity}.": "a video: {activity}.",
    "a photo of a person {doing}.": "a photo: {activity}.",
    "a person is {doing}.": "this is what happens: {activity}.",
    "someone can be seen {doing}.": "what can be seen: {activity}.",
}
"""What the prefix forms are for a name that is a sentence, a scene, or written in another script."""
_FINITE = {
    "a video of {activity}.": "a video of someone who {activity}.",
    "a photo of a person {doing}.": "a photo of a person who {activity}.",
    "a person is {doing}.": "a person {activity}.",
    "someone can be seen {doing}.": "someone can be seen who {activity}.",
}
"""What they are for a name such as `falls`."""
_SUBJECTS = re.compile(r"a person\b|someone\b")
_PLACE = re.compile(r"\{(activity|doing)?\}")


def fill(action: str, templates: Sequence[str] = DEFAULT_TEMPLATES) -> tuple[str, ...]:
    """The texts of one action.

    Args:
        action: its name.
        templates: forms with one of `{}`, the name as it is; `{doing}`, what someone is doing (`doing archery`, and
            `applying eye makeup` for `apply eye makeup`); `{activity}`, the same as a thing (`archery`).

    Raises:
        ClaverError: a template without exactly one of these.
    """
    if bad := [template for template in templates if len(_PLACE.findall(template)) != 1]:
        raise ClaverError(f"template {bad[0]!r} should hold {{}} once, where the action goes")
    return tuple(_fill(template, action, phrase(action)) for template in templates)


def _fill(template: str, action: str, form: Phrase) -> str:
    if form.finite:
        template = _FINITE.get(template, template)
    elif not form.doing:
        template = _NO_PHRASE.get(template, template)
    elif form.who and "{doing}" in template:
        template = _SUBJECTS.sub(form.who, template, count=1)
        template = template.replace("people is", "people are")
    forms = {"": action, "activity": form.activity, "doing": form.doing or form.activity}
    # At once, for a name may hold braces itself.
    return _PLACE.sub(lambda place: forms[place[1] or ""], template)

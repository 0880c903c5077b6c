"""Template texts: an action put behind a prefix or before a suffix (Table 11, "Prefix-Suffix")."""

from __future__ import annotations

from collections.abc import Sequence

from claver.errors import ClaverError

PREFIXES = ("a video of {}.", "a photo of a person {}.", "a person is {}.", "someone can be seen {}.")
SUFFIXES = ("{}, a human action.", "{}, filmed from nearby.", "{}, as it happens.")
NAME_ONLY = ("{}",)
DEFAULT_TEMPLATES = (*NAME_ONLY, *PREFIXES, *SUFFIXES)
"""The bare name first, then prefix and suffix forms."""


def fill(action: str, templates: Sequence[str] = DEFAULT_TEMPLATES) -> tuple[str, ...]:
    """The texts of one action.

    Raises:
        ClaverError: a template without exactly one `{}`.
    """
    if bad := [template for template in templates if template.count("{}") != 1]:
        raise ClaverError(f"template {bad[0]!r} should hold {{}} once, where the action goes")
    return tuple(template.replace("{}", action) for template in templates)

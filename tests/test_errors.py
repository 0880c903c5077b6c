"""Names and texts of others as messages show them."""

import pytest

from claver.errors import in_short, without_secrets


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a clip?.mp4", "a clip?.mp4"),
        ("https://host/@me/my clip.mp4", "https://host/@me/my clip.mp4"),
        ("https://user:se@cret@host:8000/clip.mp4?sig=secret x", "https://host:8000/clip.mp4?…"),
        ("s3://bucket/clip.mp4", "s3://bucket/clip.mp4"),
        ("HTTPS://host/clip.mp4?", "HTTPS://host/clip.mp4?…"),
    ],
)
def test_a_name_is_shown_without_passwords_and_queries(name: str, shown: str) -> None:
    assert in_short(name) == shown


def test_addresses_in_texts_of_others_lose_theirs() -> None:
    told = "403 Forbidden for url: 'https://me:secret@host/a?sig=secret' (try gs://b/c?x=secret, or d?e)"
    assert without_secrets(told) == "403 Forbidden for url: 'https://host/a?…' (try gs://b/c?… or d?e)"

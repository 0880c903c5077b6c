"""Explanations of a small clip by small models of random weights."""

from pathlib import Path

import pytest
from tests.tiny import talking_model
from tests.videos import write_video

from claver.explain import Explanation, explain
from claver.inference.recognizer import Recognizer
from claver.models.config import Temporal

ACTIONS = {
    "waving": ["waving", "a person is waving", "someone waves a hand"],
    "bowing": ["a person bows"],
    "<script>alert('x')</script> & \"more\"": ["<b>bold</b> & <script>alert(1)</script>"],
}
EVIL = list(ACTIONS)[2]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("<i>") / "a & <b>.mp4")


def explained(clip: Path, kind: Temporal, action: str = "waving", against: str | None = None) -> Explanation:
    return explain(Recognizer(talking_model(kind), ACTIONS), clip, action, against)


@pytest.fixture(scope="session")
def causal(clip: Path) -> Explanation:
    return explained(clip, "kmct", "waving", EVIL)

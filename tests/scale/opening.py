"""What actors of tests open: a small recogniser, of which one crashes at a white frame."""

from tests.crashing import CrashingPreprocess
from tests.tiny import talking_model

from claver.inference import Recognizer

ACTIONS = ("waves", "bows", "falls")


def open_recognizer(device: str) -> Recognizer:
    return Recognizer(talking_model().to(device), ACTIONS, cache=False)


def open_crashing(device: str) -> Recognizer:
    """As `open_recognizer`; a white frame really ends its process by a segmentation fault."""
    recognizer = open_recognizer(device)
    recognizer.encoder.preprocess = CrashingPreprocess(**vars(recognizer.preprocess))
    return recognizer

"""Explanations: which words, moments and places made a score.

>>> from claver.explain import explain
>>> explain("runs/quickstart/kmct", "clip.mp4", "grows", against="shrinks").save("why.html")
"""

from __future__ import annotations

from claver.explain.evidence import Evidence, ExplainedText
from claver.explain.explanation import Explanation, explain
from claver.explain.relevance import VideoRelevance, text_relevance, video_relevance
from claver.explain.words import Word, weigh_words, word_kinds

__all__ = [
    "Evidence",
    "ExplainedText",
    "Explanation",
    "VideoRelevance",
    "Word",
    "explain",
    "text_relevance",
    "video_relevance",
    "weigh_words",
    "word_kinds",
]

"""Answers as notebooks and pictures show them."""

import inspect
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from tests.tiny import talking_model

import claver
from claver.errors import VideoError
from claver.inference.prediction import Prediction, percent, probabilities, share_scale

EVIL = "<script>alert('x')</script> & \"more\""


def prediction(*probabilities: float, source: str = "clip.mp4") -> Prediction:
    shares = np.array(probabilities, dtype=np.float32)
    names = tuple([EVIL, "$a_1$ " + "long words " * 12, *(f"action {n}" for n in range(len(shares)))][: len(shares)])
    return Prediction(source, names, np.log(shares), shares, np.zeros((2, 8, 8, 3), dtype=np.uint8))


class Read(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("aggregate", ["paper", "released"])
def test_probabilities_of_scores_add_up_to_one(aggregate: str) -> None:
    model = talking_model(aggregate=aggregate)
    scores = torch.tensor([[1.0, 2.0, 5.0], [0.5, 0.25, 0.25]])
    expected = scores.double().exp() if aggregate == "paper" else scores.double()
    expected /= expected.sum(1, keepdim=True)
    torch.testing.assert_close(probabilities(scores, model, "clip.mp4").double(), expected, rtol=1e-6, atol=0)
    for own, share in zip(scores, expected, strict=True):
        torch.testing.assert_close(probabilities(own, model, "clip.mp4").double(), share, rtol=1e-6, atol=0)
    scores[1, 2] = torch.nan
    with pytest.raises(VideoError, match=r"clip\.mp4: the model gives non-finite .* do not suit torch\.float32"):
        probabilities(scores, model, "clip.mp4")


def test_html_is_small_escaped_and_whole() -> None:
    answer = prediction(0.6, 0.3, 0.05, 0.05, source="<img src=x>.mp4")
    read = Read(answer._repr_html_())
    assert not read.open
    assert set(read.tags) <= {"div", "b", "table", "tr", "td", "small"}
    assert read.texts[0] == "<img src=x>.mp4"
    assert EVIL in read.texts
    assert [text for text in read.texts if text.endswith("%")] == ["60%", "30%", "5.0%", "5.0%"]
    assert len(answer._repr_html_()) < 4000


def test_html_of_small_shares_says_where_bars_end() -> None:
    markup = prediction(*[1 / 400] * 400)._repr_html_()
    assert "probability among 400 actions, bars end at 1%" in markup
    assert "width:25.0%" in markup


def test_plot_scales_its_axis_and_writes_numbers() -> None:
    pytest.importorskip("matplotlib")
    axes = prediction(0.004, 0.003, *[0.993 / 331] * 331).plot(2).axes[-1]
    assert axes.get_xlim() == (0, 0.01)
    assert [text.get_text() for text in axes.texts] == ["0.40%", "0.30%"]
    assert "among 333 actions" in axes.get_xlabel()
    labels = ["".join(label.get_text().split()) for label in axes.get_yticklabels()]
    assert labels == ["".join(answer.action.split()) for answer in prediction(0.004, 0.003).top(2)]
    assert prediction(0.9, 0.1).plot().axes[-1].get_xlim() == (0, 1)


@pytest.mark.parametrize(("greatest", "scale"), [(0.003, 0.01), (0.01, 0.01), (0.2, 0.2), (0.21, 0.5), (1, 1)])
def test_scale(greatest: float, scale: float) -> None:
    assert share_scale(greatest) == scale


def test_percent() -> None:
    assert [percent(share) for share in (1, 0.9999, 0.997, 0.42, 0.034, 0.0025, 0.00001, 0)] == [
        *("100%", ">99.9%", "99.7%", "42%", "3.4%", "0.25%", "<0.01%", "0.00%")
    ]


def test_the_package_lists_what_it_has() -> None:
    assert {"load", "Recognizer", "Prediction", "KroneckerMask"} <= set(dir(claver))
    assert all(hasattr(claver, name) for name in dir(claver))
    assert "load" in dict(inspect.getmembers(claver))

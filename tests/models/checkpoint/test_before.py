"""Model folders of before: `tests/golden/before/model` was written by version 0.2.0 as of 2026-11-26."""

import json
from pathlib import Path

import torch

import claver

FOLDER = Path(__file__).parents[2] / "golden" / "before" / "model"


def test_a_model_folder_of_before_is_read_and_answers_as_it_did(tmp_path: Path) -> None:
    model = claver.load(FOLDER)
    assert model.learned is not None
    assert (model.learned.names, model.learned.texts) == (("wave", "bow"), (("a wave",), ("a bow", "bowing")))
    assert (model.config.temporal.kind, model.config.temporal.frames) == ("kmct", 4)
    assert model.tokenizer is not None
    video = torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(1, 4, 3, 32, 32).sin()
    with torch.no_grad():
        out = model(video, model.tokenizer(["a wave", "a bow"])[None])
    expected = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
    torch.testing.assert_close(out.logits, torch.tensor(expected["logits"]), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(out.video_embedding, torch.tensor(expected["video_embedding"]), rtol=1e-5, atol=1e-5)
    model.save_pretrained(tmp_path)
    for name in ("model.safetensors", "config.json", "actions.json", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name

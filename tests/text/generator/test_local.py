"""A model loaded here: batches, seeds, chat templates and where a completion ends."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.text.generator.babbling import babbling_model

from claver.errors import ClaverError
from claver.text.generator import Answer, Form, Sampling, TextRequest

pytest.importorskip("transformers")
from claver.text.generator.local import LocalModel

FORM = Form("Describe.", {"hopping": "A hop.", "rowing": "Oars dip."})
REQUESTS = [TextRequest(FORM, "juggling"), TextRequest(FORM, "playing the harp"), TextRequest(FORM, "ski")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return babbling_model(tmp_path_factory.mktemp("babbling") / "babbling-1k")


def ask(model: LocalModel, requests: list[TextRequest]) -> list[Answer]:
    return asyncio.run(model.ask(requests))


def test_a_batch_is_drawn_by_its_seed(folder: Path) -> None:
    def drawn(**options: Any) -> list[str]:
        return [
            answer.text for answer in ask(LocalModel(folder, sampling=Sampling(max_tokens=12), **options), REQUESTS)
        ]

    assert drawn(seed=1) == drawn(seed=1)
    assert drawn(seed=1) != drawn(seed=2)
    model = LocalModel(folder, sampling=Sampling(max_tokens=12))
    assert ask(model, REQUESTS) != ask(model, REQUESTS)  # asked again, another text


def test_tokens_are_counted_without_the_padding(folder: Path) -> None:
    model = LocalModel(folder, sampling=Sampling(max_tokens=12))
    assert (model.name, model.endpoint, model.workers) == ("babbling-1k", "chat", 1)
    for request, answer in zip(REQUESTS, ask(model, REQUESTS), strict=True):
        chat = "".join(f"{turn['role']}: {turn['content']}\n" for turn in FORM.messages(request.action))
        assert answer.tokens is not None
        assert answer.tokens[0] == len(f"{chat}assistant: ".encode())  # a token is a letter here
        assert answer.tokens[1] == 12 or not answer.cut


def test_padding_changes_nothing(folder: Path) -> None:
    """Without chance, a request in a batch with longer ones gives what it gives alone."""
    model = LocalModel(folder, sampling=Sampling(temperature=0, max_tokens=10))
    assert ask(model, REQUESTS) == [ask(model, [request])[0] for request in REQUESTS]


def test_an_answer_ends_at_the_end_of_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel(folder, sampling=Sampling(max_tokens=8))
    word = model._tokenizer("hop")["input_ids"]
    rows = torch.tensor([[*word, 2, 0, 0], [*word, *word]])
    monkeypatch.setattr(model._model, "generate", lambda input_ids, **_: torch.cat([input_ids, rows], dim=1))
    short, long = ask(model, REQUESTS[:2])
    assert (short.text, short.cut, long.text, long.cut) == ("hop", False, "hophop", True)
    assert short.tokens is not None
    assert short.tokens[1] == 4


def test_a_completion_ends_before_the_next_example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel(folder, endpoint="completion", sampling=Sampling(max_tokens=8))
    rows = torch.tensor([model._tokenizer("A leap.\n\nAction")["input_ids"]])
    monkeypatch.setattr(model._model, "generate", lambda input_ids, **_: torch.cat([input_ids, rows], dim=1))
    assert [(answer.text, answer.cut) for answer in ask(model, REQUESTS[:1])] == [("A leap.", False)]


def test_a_model_without_a_chat_template_continues_a_text(tmp_path: Path) -> None:
    folder = babbling_model(tmp_path / "plain", chat=False)
    model = LocalModel(folder, sampling=Sampling(max_tokens=6))
    assert model.endpoint == "completion"
    (answer,) = ask(model, REQUESTS[:1])
    assert answer.tokens is not None
    assert answer.tokens[0] == len(FORM.completion("juggling").encode())
    with pytest.raises(ClaverError, match="plain has no chat template; use --endpoint completion"):
        LocalModel(folder, endpoint="chat")


def test_cancelled_it_stops_at_the_next_token(folder: Path) -> None:
    model = LocalModel(folder, sampling=Sampling(max_tokens=3500))
    model._model.generation_config.min_new_tokens = 3500

    async def interrupted() -> None:
        task = asyncio.create_task(model.ask(REQUESTS))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.monotonic()
    asyncio.run(interrupted())  # waits for its threads
    assert time.monotonic() - start < 3


def test_a_batch_that_does_not_fit_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = LocalModel(folder)
    monkeypatch.setattr(model._model, "generate", full)
    with pytest.raises(ClaverError, match="3 texts at once do not fit into memory; lower --concurrency"):
        ask(model, REQUESTS)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match=r"there is no model folder .*nowhere"):
        LocalModel(tmp_path / "nowhere")
    with pytest.raises(ClaverError, match="holds no language model that transformers can load"):
        LocalModel(tmp_path)


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    weights = babbling_model(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ClaverError, match="holds no language model that transformers can load") as refused:
        LocalModel(tmp_path)
    assert "\n" not in str(refused.value)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    safe = babbling_model(tmp_path) / "model.safetensors"
    torch.save(load_file(safe), tmp_path / "pytorch_model.bin")
    safe.unlink()
    with pytest.raises(ClaverError, match=r"transformers can load: .*safetensors"):
        LocalModel(tmp_path)


def test_code_that_comes_with_a_model_is_refused_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = babbling_model(tmp_path) / "config.json"
    own = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"}}
    config.write_text(json.dumps(json.loads(config.read_text()) | own))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nC = M = object\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ClaverError, match="holds no language model that transformers can load"):
        LocalModel(tmp_path)
    assert not (tmp_path / "ran").exists()

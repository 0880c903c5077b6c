"""The loop: what is missing is asked for, unsuitable texts again, and what cannot be had is reported."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.text.generator.served import Asked, Behaviour, Reply, Server, canned, refused, said, serving, well

from claver.errors import ClaverError
from claver.text import Source, read_prompts
from claver.text.generator import Answer, BankFile, Endpoint, Generation, TextRequest, UnansweredError, load_forms
from claver.text.generator.server import ServerModel
from claver.text.record import Kind

ACTIONS = ("juggling", "rowing", "whistling")
FORMS = load_forms()


class Parrot:
    """Says what it is told to, in batches."""

    name, workers = "parrot", 1
    endpoint: Endpoint = "chat"

    def __init__(self, say: Callable[[int, TextRequest], str | Exception], *, batch: int = 1) -> None:
        self.say, self.batch = say, batch
        self.asked: list[list[TextRequest]] = []
        self.count = itertools.count()

    async def ask(self, requests: Sequence[TextRequest]) -> list[Answer]:
        self.asked.append(list(requests))
        said = [self.say(next(self.count), request) for request in requests]
        for answer in said:
            if isinstance(answer, Exception):
                raise answer
        return [Answer(str(answer), False, (10, 2)) for answer in said]

    async def close(self) -> None:
        pass


def bank(path: Path, actions: Sequence[str] = ACTIONS, kinds: Sequence[Kind] = ("body",)) -> BankFile:
    return BankFile(path, "own", actions, {kind: Source("m", "2026-11-22") for kind in kinds})


def generation(model: Any, path: Path, actions: Sequence[str] = ACTIONS, **options: Any) -> Generation:
    kinds = options.pop("kinds", ("body",))
    return Generation(model, {kind: FORMS[kind] for kind in kinds}, bank(path, actions, kinds), **options)


def texts(path: Path) -> list[str]:
    return [prompt.text for prompt in read_prompts(path)]


def serve(
    behave: Behaviour, path: Path, *, kinds: Sequence[Kind] = ("body",), **options: Any
) -> tuple[Server, Generation]:
    client = {key: options.pop(key) for key in ("concurrency", "retries", "timeout") if key in options}

    async def go(url: str) -> Generation:
        run = generation(ServerModel("m", base_url=url, **client), path, kinds=kinds, **options)
        await run.run()
        return run

    with serving(behave) as server:
        return server, asyncio.run(go(server.url))


def test_every_action_gets_its_texts_in_order_and_the_cost_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"
    server, run = serve(well, path, kinds=("synonym", "body"), samples=2)
    found = [(prompt.action, prompt.kind) for prompt in read_prompts(path)]
    assert found == [(action, kind) for action in ACTIONS for kind in ("synonym", "body") for _ in range(2)]
    assert len(server.asked) == 12
    assert run.shortages == []
    assert str(run.tokens) == "600 tokens read, 120 written"


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_requests_are_under_way_than_allowed(tmp_path: Path, concurrency: int) -> None:
    def slowly(_: int, asked: Asked) -> Reply:
        time.sleep(0.05)
        return said(asked, canned(asked))

    server, _ = serve(slowly, tmp_path / "bank.jsonl", samples=5, concurrency=concurrency)
    assert server.peak == concurrency


def test_what_the_file_holds_is_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"
    serve(well, path, samples=2)
    server, run = serve(well, path, samples=3)
    assert sorted(asked.action for asked in server.asked) == sorted(ACTIONS)
    assert run.left == 3
    assert len(texts(path)) == 9
    server, run = serve(well, path, samples=3)
    assert (server.asked, run.left) == ([], 0)


def test_a_refused_text_is_asked_for_again_with_those_that_are_there(tmp_path: Path) -> None:
    answers = [
        "juggling, hands throw.",
        "juggling, hands throw.",
        "Two arms juggling, elbows bent.",
        "Sure!",
        "None of it.",
    ]
    parrot = Parrot(lambda number, _: answers[min(number, 4)])
    run = generation(parrot, tmp_path / "bank.jsonl", ["juggling"], samples=3, attempts=2)
    asyncio.run(run.run())
    assert texts(run.file.path) == ["juggling, hands throw.", "Two arms juggling, elbows bent."]
    taken = [batch[0].taken for batch in parrot.asked]
    assert taken[:3] == [(), (), ("juggling, hands throw.",)]
    assert len(parrot.asked) == 1 + 2 + 2
    (shortage,) = run.shortages
    assert str(shortage) == "juggling, body: 2 of 3 texts; the last neither names nor paraphrases its action"
    assert run.tokens.read == 50


def test_a_text_of_another_action_is_refused(tmp_path: Path) -> None:
    parrot = Parrot(lambda _, request: "Rowing, juggling and whistling at once.")
    run = generation(parrot, tmp_path / "bank.jsonl", samples=1, attempts=1)
    asyncio.run(run.run())
    assert [str(shortage) for shortage in run.shortages] == [
        "rowing, body: 0 of 1 texts; the last is also a text of 'juggling'",
        "whistling, body: 0 of 1 texts; the last is also a text of 'juggling'",
    ]


def test_an_echo_of_an_example_and_a_text_cut_at_the_limit_are_refused(tmp_path: Path) -> None:
    def behave(number: int, asked: Asked) -> Reply:
        if number:
            return said(asked, "juggling hands rise and fall and", end="length")
        return said(asked, f"juggling, {FORMS['body'].examples['pitching a tent']}")

    _, run = serve(behave, tmp_path / "bank.jsonl", actions=["juggling"], samples=1, attempts=1)
    assert "echoes an example" in run.shortages[0].reason
    _, run = serve(
        lambda _, asked: behave(1, asked), tmp_path / "bank.jsonl", actions=["juggling"], samples=1, attempts=1
    )
    assert run.shortages[0].reason.startswith("was cut at the limit of tokens")


def test_without_validation_anything_with_a_word_in_it_is_kept(tmp_path: Path) -> None:
    parrot = Parrot(lambda number, _: "" if number == 0 else "gibberish")
    run = generation(parrot, tmp_path / "bank.jsonl", ["juggling"], samples=2, attempts=2, validate=False)
    asyncio.run(run.run())
    assert texts(run.file.path) == ["gibberish", "gibberish"]
    assert len(parrot.asked) == 3


def test_batches_are_as_large_as_the_model_takes(tmp_path: Path) -> None:
    parrot = Parrot(lambda number, request: f"{request.action} {number} x{number} y{number}.", batch=4)
    run = generation(parrot, tmp_path / "bank.jsonl", samples=3)
    asyncio.run(run.run())
    assert [len(batch) for batch in parrot.asked] == [4, 4, 1]
    assert len(texts(run.file.path)) == 9


def test_one_request_that_never_works_costs_its_own_text_only(tmp_path: Path) -> None:
    def behave(_: int, asked: Asked) -> Reply:
        return refused(500, "cannot row") if asked.action == "rowing" else said(asked, canned(asked))

    _, run = serve(behave, tmp_path / "bank.jsonl", samples=1, attempts=1, retries=0)
    assert [shortage.action for shortage in run.shortages] == ["rowing"]
    assert "got no answer" in run.shortages[0].reason
    assert "500: cannot row" in run.shortages[0].reason
    assert len(texts(run.file.path)) == 2


def test_a_server_that_is_gone_ends_the_run_and_keeps_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"

    def behave(number: int, asked: Asked) -> Reply:
        return said(asked, canned(asked)) if number < 4 else Reply(hang_up=True)

    with pytest.raises(ClaverError, match=r"3 requests in a row got no answer: http.*connection error"):
        serve(behave, path, samples=30, concurrency=1, retries=0)
    assert len(texts(path)) == 4


def test_a_refusal_ends_the_run_at_once(tmp_path: Path) -> None:
    parrot = Parrot(lambda number, request: ClaverError("no") if number == 1 else f"{request.action} here.")
    with pytest.raises(ClaverError, match=r"^no$"):
        asyncio.run(generation(parrot, tmp_path / "bank.jsonl").run())
    assert texts(tmp_path / "bank.jsonl") == ["juggling here."]


def test_failures_count_in_a_row_only(tmp_path: Path) -> None:
    parrot = Parrot(lambda number, request: UnansweredError("late") if number % 3 else f"{request.action} x{number}.")
    run = generation(parrot, tmp_path / "bank.jsonl", samples=2, attempts=3)
    asyncio.run(run.run())
    assert len(texts(run.file.path)) == 6


@pytest.mark.parametrize(
    ("usage", "sentence"),
    [
        (None, "tokens unknown (the server does not count them)"),
        ((5, 2), "15 tokens read, 6 written, and unknown for 3"),
    ],
)
def test_tokens_that_are_not_counted_are_said_to_be_unknown(
    tmp_path: Path, usage: tuple[int, int] | None, sentence: str
) -> None:
    def behave(number: int, asked: Asked) -> Reply:
        return said(asked, canned(asked), usage=usage if number % 2 else None)

    _, run = serve(behave, tmp_path / "bank.jsonl", samples=2, concurrency=1)
    assert str(run.tokens).startswith(sentence)


def test_each_record_says_what_it_was_made_with(tmp_path: Path) -> None:
    serve(well, tmp_path / "bank.jsonl", samples=1)
    line = json.loads((tmp_path / "bank.jsonl").read_text().splitlines()[0])
    assert line["source"] == {"model": "m", "date": "2026-11-22", "settings": {}}
    assert (line["list"], line["action"], line["kind"]) == ("own", "juggling", "body")

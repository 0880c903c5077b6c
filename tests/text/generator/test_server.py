"""Asking over a real socket: servers that are slow, broken, refusing, limiting rates, or give away secrets."""

import asyncio
import time
from typing import Any

import pytest
from tests.text.generator.served import Behaviour, Reply, refused, said, serving

from claver.errors import ClaverError
from claver.text.generator import Answer, Form, Sampling, TextRequest, UnansweredError
from claver.text.generator.server import ServerModel

KEY = "sk-verysecret0123456789"
FORM = Form("Describe.", {"hopping": "A hop.", "rowing": "Oars dip."})


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLAVER_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def ask(url: str, **options: Any) -> Answer:
    model = ServerModel("m", base_url=url, **{"timeout": 5.0, "retries": 2} | options)

    async def once() -> list[Answer]:
        try:
            return await model.ask([TextRequest(FORM, "juggling")])
        finally:
            await model.close()

    return asyncio.run(once())[0]


def one_after_another(*replies: Reply) -> Behaviour:
    """The last reply again and again."""
    return lambda number, _: replies[min(number, len(replies) - 1)]


def test_a_chat_carries_the_request_and_its_settings() -> None:
    with serving(lambda _, asked: said(asked, "Balls fly.", usage=(40, 7))) as server:
        answer = ask(server.url, sampling=Sampling(0.7, 0.8, 50))
    assert answer == Answer("Balls fly.", False, (40, 7))
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    wanted = {"model": "m", "temperature": 0.7, "top_p": 0.8, "max_tokens": 50, "messages": FORM.messages("juggling")}
    assert asked.body == wanted


def test_a_completion_carries_the_text_and_where_to_stop() -> None:
    with serving(lambda _, asked: said(asked, " Balls fly.", end="length", usage=None)) as server:
        answer = ask(server.url, endpoint="completion")
    assert answer == Answer(" Balls fly.", True, None)
    asked = server.asked[0]
    assert asked.path == "/v1/completions"
    assert asked.body["prompt"] == FORM.completion("juggling")
    assert asked.body["stop"] == ["\n\n", "\nAction:"]
    assert (asked.body["temperature"], asked.body["top_p"]) == (0.9, 0.95)


@pytest.mark.parametrize(
    "fault",
    [
        refused(500, "oops"),
        refused(503, "busy"),
        refused(429, "slow down"),
        Reply(hang_up=True),
        Reply(b'{"cho', headers={"Content-Length": "500"}, hang_up=False),
    ],
    ids=["500", "503", "429", "hung up", "cut short"],
)
def test_a_fault_that_passes_is_not_noticed(fault: Reply) -> None:
    def behave(number: int, asked: Any) -> Reply:
        return said(asked, "Balls fly.") if number else fault

    with serving(behave) as server:
        assert ask(server.url, timeout=1.0).text == "Balls fly."
    assert len(server.asked) == 2


def test_retry_after_is_waited_for() -> None:
    def behave(number: int, asked: Any) -> Reply:
        return said(asked, "Balls fly.") if number else refused(429, "slow down", **{"Retry-After": "2"})

    with serving(behave) as server:
        ask(server.url)
    first, second = (asked.time for asked in server.asked)
    assert 2 <= second - first < 4  # the pause without it is half a second


def test_pauses_grow() -> None:
    with serving(one_after_another(refused(500, "oops"))) as server, pytest.raises(UnansweredError, match="500: oops"):
        ask(server.url, retries=2)
    first, second, third = (asked.time for asked in server.asked)
    assert third - second > 1.3 * (second - first)


def test_a_server_that_is_too_slow_is_given_up() -> None:
    with serving(one_after_another(Reply({}, delay=1.0))) as server:
        start = time.monotonic()
        with pytest.raises(UnansweredError, match="timed out"):
            ask(server.url, timeout=0.2, retries=0)
        assert time.monotonic() - start < 0.9


def test_a_server_that_is_not_there_is_named() -> None:
    with serving(one_after_another(Reply({}))) as server:
        url = server.url
    with pytest.raises(UnansweredError, match=rf"{url}: connection error"):
        ask(url, retries=0)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(b"{not json"), "answered in an unknown form"),
        (Reply(b"<html>hello</html>", kind="text/html"), "answered without a text"),
        (Reply({"choices": []}), "answered without a text"),
        (Reply({"choices": None, "error": {"message": "overloaded"}}), "answered without a text: overloaded"),
        (Reply([1, 2]), "answered"),
        (Reply({"choices": [{"index": 0}]}), "answered in an unknown form"),
        (Reply({"choices": ["text"]}), "answered in an unknown form"),
    ],
)
def test_an_answer_of_another_form_is_an_answer_missing(reply: Reply, sentence: str) -> None:
    with serving(one_after_another(reply)) as server, pytest.raises(UnansweredError, match=sentence):
        ask(server.url)


def test_an_answer_without_content_is_empty() -> None:
    with serving(lambda _, asked: said(asked, None)) as server:
        assert ask(server.url).text == ""


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (refused(401, "who are you"), "does not accept the key in OPENAI_API_KEY (401)"),
        (refused(403, "not in your country"), "does not allow this (403): not in your country"),
        (refused(404, "no such model"), "has no model 'm', or no chat endpoint at this address"),
        (refused(400, "temperature too high"), "answered 400: temperature too high"),
        (Reply({"detail": [{"msg": "field required"}]}, 422), "answered 422: [{'msg': 'field required'}]"),
        (Reply(b"<html>nginx</html>", 405, kind="text/html"), "answered 405"),
    ],
)
def test_a_refusal_ends_in_one_sentence_and_is_asked_once(
    reply: Reply, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(one_after_another(reply)) as server, pytest.raises(ClaverError) as ended:
        ask(server.url)
    assert sentence in str(ended.value)
    assert len(server.asked) == 1


def test_a_server_that_wants_a_key_says_which_variable() -> None:
    sentence = r"wants a key \(401\): set CLAVER_API_KEY or OPENAI_API_KEY"
    with serving(one_after_another(refused(401, "no"))) as server, pytest.raises(ClaverError, match=sentence):
        ask(server.url)


def test_a_model_that_knows_the_limit_by_another_name_is_asked_by_that() -> None:
    def behave(_: int, asked: Any) -> Reply:
        if "max_tokens" in asked.body:
            return refused(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return said(asked, str(asked.body["max_completion_tokens"]))

    with serving(behave) as server:
        assert ask(server.url, sampling=Sampling(max_tokens=33)).text == "33"


def test_the_key_comes_from_the_environment_ours_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-theirs0000")
    monkeypatch.setenv("CLAVER_API_KEY", f"{KEY}\n")
    with serving(lambda _, asked: said(asked, "x")) as server:
        ask(server.url)
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
def test_a_key_that_the_server_gives_back_is_not_said(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAVER_API_KEY", KEY)
    message = f"Incorrect key {KEY}, also known as sk-very***6789, sent as Bearer {KEY}"
    with serving(one_after_another(refused(status, message))) as server:
        with pytest.raises((ClaverError, UnansweredError)) as ended:
            ask(server.url, retries=0)
        user = server.url.replace("://", "://me:hidden@")
        with pytest.raises((ClaverError, UnansweredError)) as with_password:
            ask(user, retries=0)
    for error in (ended.value, with_password.value):
        told = f"{error} {error.__cause__!r}"
        assert not any(secret in told for secret in (KEY, "sk-very", "6789", "hidden"))
        assert error.__suppress_context__


def test_a_key_in_an_answer_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAVER_API_KEY", KEY)
    with serving(lambda _, asked: said(asked, f"You sent {asked.headers['authorization']}.")) as server:
        assert KEY not in ask(server.url).text


def test_a_word_in_place_of_a_key_spoils_no_text_and_halves_of_characters_are_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with serving(lambda _, asked: said(asked, "Boxing \ud83d gloves.")) as server:
        assert ask(server.url).text == "Boxing ? gloves."


def test_what_cannot_work_is_said_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClaverError, match="no key: set OPENAI_API_KEY, or give the --base-url"):
        ServerModel("m")
    for url in ("localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1"):
        with pytest.raises(ClaverError, match="should look like http://localhost:8000/v1"):
            ServerModel("m", base_url=url)
    monkeypatch.setenv("CLAVER_API_KEY", "two words")
    with pytest.raises(ClaverError, match="what CLAVER_API_KEY holds cannot be a key") as refused_key:
        ServerModel("m", base_url="http://localhost:1/v1")
    assert "two words" not in str(refused_key.value)

"""The catalogue of models: the form of its facts, and that each number says where it is from."""

import re

import pytest

from claver.catalogue import find_models, read_catalogue, records, rows
from claver.errors import ClaverError

FAMILIES = read_catalogue()
MODELS = [model for family in FAMILIES for model in family.models]
LICENCES = {"MIT", "Apache-2.0", "CC-BY-NC-4.0"}  # SPDX identifiers; others are its LicenseRef-…


def test_names_are_unique() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names) > 10
    ids = [model.id for model in MODELS]
    assert len(set(ids)) == len(ids) > 30
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in ids)


def test_families_say_what_they_are() -> None:
    kinds = ["images and texts", "images", "texts", "claver's own", "peer"]
    places = [kinds.index(family.kind) for family in FAMILIES]
    assert places == sorted(places)
    for family in FAMILIES:
        assert family.about
        assert family.tested
        assert family.load.startswith("claver evaluate " if family.kind == "peer" else "claver.load(")
        assert family.facts or not family.models, family.name


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_models_stand_by_size(family) -> None:  # type: ignore[no-untyped-def]
    sizes = [model.parameters for model in family.models if model.parameters is not None]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_facts_have_their_form(model) -> None:  # type: ignore[no-untyped-def]
    assert model.licence is None or model.licence in LICENCES or re.fullmatch(r"LicenseRef-[\w.-]+", model.licence)
    assert model.parameters is None or 1 <= model.parameters < 100_000
    assert model.pixels is None or (isinstance(model.pixels, int) and 64 <= model.pixels <= 1024)
    if named := re.search(r"(?:patch\d+-|f\d+r|-H-14-)(\d{3})(?:px)?(?:-|$)", model.id):
        assert model.pixels == int(named[1])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_accuracy_has_a_source_that_names_work_and_table(model) -> None:  # type: ignore[no-untyped-def]
    assert (model.top1 is None) == (model.source is None)
    if model.top1 is None:
        assert model.frames is None
        return
    assert 0 < model.top1 < 100
    assert re.search(r"\((arXiv \d{4}\.\d{5}|github\.com/[\w/-]+)\)", model.source)
    assert re.search(r"\b[Tt]able\b", model.source)
    assert model.note or model.frames  # how it was measured


def test_what_cannot_name_actions_by_itself_has_no_zero_shot_accuracy() -> None:
    for family in FAMILIES:
        assert family.kind not in ("images", "texts") or all(model.top1 is None for model in family.models)


def test_a_part_is_looked_for_in_ids_and_families_in_any_case() -> None:
    assert [family.name for family in find_models("ALTclip")] == ["altclip"]
    [dinov2] = find_models("dinov2-LARGE")
    assert [model.id for model in dinov2.models] == ["facebook/dinov2-large"]
    assert len(find_models()) == len(FAMILIES)
    assert len(find_models("siglip", "siglip")[0].models) == len(find_models("", "siglip")[0].models)


def test_what_is_not_there_names_what_is_near() -> None:
    with pytest.raises(
        ClaverError, match=r"no listed model has 'dinvo2-base' in its name; did you mean 'dinov2-base'\?"
    ):
        find_models("dinvo2-base")
    with pytest.raises(ClaverError, match=r"no listed model of family clip has 'zzz' in its name \(clip, "):
        find_models("zzz", "clip")
    with pytest.raises(ClaverError, match=r"there is no family 'siglp2'; did you mean 'siglip2'\?"):
        find_models("", "siglp2")
    with pytest.raises(ClaverError, match=r"there is no family '∅' \(clip, .*videoprism\)"):
        find_models("", "∅")


def test_json_and_csv_have_everything() -> None:
    assert [len(record["models"]) for record in records(FAMILIES)] == [len(family.models) for family in FAMILIES]
    header, *body = rows(FAMILIES)
    assert len(body) == len(MODELS) + sum(not family.models for family in FAMILIES)
    assert {len(row) for row in body} == {len(header)}
    assert "arXiv" in str(next(row for row in body if row[header.index("id")] == "openai/clip-vit-large-patch14"))

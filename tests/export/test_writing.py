"""Exporting: what is written does what the model does, or is not written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.exports import ACTIONS, exported, needs_onnx, recognizer_of, timed_model
from tests.videos import write_video

import claver
import claver.models
import claver.video
from claver.errors import CheckpointError, ClaverError
from claver.export import ExportedModel, export_model
from claver.export import check as checking
from claver.export import writing as writing_module
from claver.export.programs import video_graph, write_graph
from claver.inference.calibration import Calibration
from claver.models import Claver
from claver.models.config import Temporal
from claver.models.exported.manifest import Manifest

exported_kmct = pytest.fixture(scope="module")(exported)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=40)


def assert_same(made: claver.Prediction, wanted: claver.Prediction) -> None:
    assert made.actions == wanted.actions
    np.testing.assert_allclose(made.scores, wanted.scores, atol=1e-4)
    assert made.unknown == pytest.approx(wanted.unknown, abs=1e-4)
    assert [answer.action for answer in made.top(3)] == [answer.action for answer in wanted.top(3)]


@pytest.mark.slow
def test_the_folder_answers_as_the_model_does(exported_kmct: Any, clip: Path) -> None:
    recognizer, folder = exported_kmct
    own = claver.Recognizer(folder)
    assert own.actions == tuple(ACTIONS)
    assert_same(own(clip), recognizer(clip))
    assert_same(next(iter(own.stream([clip]))), recognizer(clip))  # type: ignore[arg-type]


@pytest.mark.slow
def test_other_words_other_views_and_other_numbers_of_frames(exported_kmct: Any, clip: Path) -> None:
    recognizer, folder = exported_kmct
    chosen: dict[str, Any] = {"views": "2x3", "frames": 7, "cache": False}
    words = ["runs home", "falls", "stands up"]
    assert_same(
        claver.Recognizer(folder, words, **chosen)(clip), claver.Recognizer(recognizer.model, words, **chosen)(clip)
    )


@pytest.mark.slow
def test_a_calibration_is_of_the_export_alone(exported_kmct: Any, tmp_path: Path) -> None:
    recognizer, folder = exported_kmct
    own = claver.Recognizer(folder)
    made = Calibration(3.0, 0.05, 20, own.conditions)
    made.save(tmp_path / "calibration.json")
    assert claver.Recognizer(folder, calibration=tmp_path / "calibration.json").open_set.threshold == 3  # type: ignore[union-attr]
    with pytest.raises(ClaverError, match="another model"):
        made.require(recognizer.conditions)


@pytest.mark.slow
def test_what_the_manifest_says(exported_kmct: Any) -> None:
    _, folder = exported_kmct
    values = json.loads((folder / "claver_export.json").read_text())
    assert values["opset"] == 20
    assert values["graphs"]["video"]["inputs"]["pixels"] == {"type": "uint8", "shape": ["batch", "frames", 3, 32, 32]}
    assert values["graphs"]["step"]["inputs"]["keys"]["shape"] == [2, "clips", "streams", 4, 17, 128]
    assert set(values["files"]) == {path.name for path in folder.iterdir()} - {"claver_export.json"}
    assert max(values["check"]["largest_difference"].values()) < 1e-5
    assert values["check"]["ran_on"]["video"] == [
        f"pixels [{batch}, {frames}, 3, 32, 32]" for batch in (1, 3) for frames in (4, 2)
    ]
    assert values["config"]["preprocess"]["size"] == 32
    for path in folder.iterdir():  # nothing of where it was made
        assert str(Path(claver.__file__).parent).encode() not in path.read_bytes()


@pytest.mark.slow
def test_a_changed_or_missing_file_is_named(exported_kmct: Any, tmp_path: Path) -> None:
    import shutil

    _, folder = exported_kmct
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = bytearray((copy / "video.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "video.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"video\.onnx is not what was exported"):
        ExportedModel(copy)
    (copy / "video.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"video\.onnx is missing"):
        ExportedModel(copy)


@pytest.mark.slow
def test_what_needs_towers_is_told_in_one_sentence(exported_kmct: Any, clip: Path, tmp_path: Path) -> None:
    _, folder = exported_kmct
    model = ExportedModel(folder)
    with pytest.raises(ClaverError, match="has no towers to look into"):
        model.image_tokens(torch.zeros(1, 1, 3, 32, 32))
    with pytest.raises(ClaverError, match="cannot be saved as a model folder"):
        model.save_pretrained(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="is an exported model, which recognize, watch and calibrate run"):
        claver.load(folder)
    with pytest.raises(ClaverError, match="leave out compile"):
        claver.Recognizer(folder, compile=True)
    with pytest.raises(ClaverError, match="way with pixels already"):
        claver.Recognizer(folder, preprocess="paper")
    with pytest.raises(ClaverError, match="cannot be exported again"):
        export_model(claver.Recognizer(folder), tmp_path / "again")
    with pytest.raises(ClaverError, match="normalises pixels itself"):
        claver.Recognizer(folder, preprocess=claver.video.Preprocess.released(32))


def checked(model: Claver, folder: Path, frames: int, *, sliced: bool, pixels: bool = True) -> float:
    """The largest difference of the graph for clips from the model."""
    graph = video_graph(model, frames, takes_bytes=pixels, sliced=sliced)
    write_graph(graph, folder, "onnx", "fp32")
    prototypes = torch.nn.functional.normalize(torch.randn(9, model.config.embedding), dim=-1)
    found = checking.check_graphs(model, [graph], folder, "onnx", prototypes, strict=True)
    assert len(found.ran["video"]) == (2 if sliced else 4)
    return max(found.worst.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kmt", "joint", "pipeline", "class", "mean"])
def test_every_kind_of_temporal_tower(kind: Temporal, tmp_path: Path) -> None:
    needs_onnx()
    assert 0 < checked(timed_model(kind), tmp_path, 4, sliced=False) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kmt", "kmct", "joint"])
def test_clips_of_one_length_need_no_mask_at_all(kind: Temporal, tmp_path: Path) -> None:
    needs_onnx()
    assert 0 < checked(timed_model(kind), tmp_path, 6, sliced=True, pixels=False) < 1e-5
    assert not [value for value in constants(tmp_path / "video.onnx") if value.dtype == bool]
    assert not [value for value in constants(tmp_path / "video.onnx") if np.isinf(value).any() and value.size > 1]


@pytest.mark.slow
def test_a_model_of_the_size_of_clip(tmp_path: Path) -> None:
    needs_onnx()
    torch.manual_seed(0)
    model = Claver(claver.models.named_config("B/32", "kmct")).eval().requires_grad_(False)
    model.temporal.initialize("random")
    assert 0 < checked(model, tmp_path, 8, sliced=False) < 1e-5
    weights = sum(value.numel() for part in (model.image, model.temporal, model.readout) for value in part.parameters())
    assert (tmp_path / "video.onnx").stat().st_size == pytest.approx(4 * weights, rel=0.01)  # none of them twice


@pytest.mark.slow
def test_weights_that_no_file_of_protobuf_can_hold_lie_beside_it(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_onnx()
    monkeypatch.setattr("claver.export.programs._LARGEST_PROTOBUF", 0)
    recognizer = recognizer_of(timed_model("mean"), unknown=False)
    report = export_model(recognizer, tmp_path / "made")
    assert {"video.onnx.data", "text.onnx.data"} < set(report.manifest.files)
    assert report.manifest.files["video.onnx.data"].bytes > 10 * report.manifest.files["video.onnx"].bytes
    made = claver.Recognizer(tmp_path / "made", unknown=False)(clip)
    np.testing.assert_allclose(made.scores, recognizer(clip).scores, atol=1e-4)
    small = export_model(recognizer, tmp_path / "small", precision="int8")
    assert not [name for name in small.manifest.files if name.endswith(".data")]


@pytest.mark.slow
def test_a_registered_tower(tmp_path: Path) -> None:
    needs_onnx()
    claver.register_tower("exported-net", lambda config: Squares(), width=128, patch=16, size=32)
    config = timed_model("kmct").config
    image = replace(config.image, tower="exported-net", settings={"version": 1}, patch=16)
    torch.manual_seed(0)
    model = Claver(replace(config, image=image)).eval().requires_grad_(False)
    model.temporal.initialize("random")
    assert 0 < checked(model, tmp_path, 4, sliced=False) < 1e-5


class Squares(torch.nn.Module):
    """The mean of a frame, and its patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 128, 16, stride=16)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(frames).flatten(2).transpose(1, 2)
        return torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)


def constants(path: Path) -> list[Any]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    made = [
        each.t for node in graph.node if node.op_type == "Constant" for each in node.attribute if each.HasField("t")
    ]
    return [numpy_helper.to_array(each) for each in (*graph.initializer, *made)]


@pytest.mark.slow
def test_large_clips_are_exported_for_one_length(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_onnx()
    monkeypatch.setattr("claver.export.attention.DYNAMIC_TOKENS", 60)
    recognizer = recognizer_of(timed_model("kmt"), unknown=False, frames=6)
    report = export_model(recognizer, tmp_path / "made")
    assert (report.manifest.fixed_frames, report.manifest.config.temporal.frames) == (True, 6)
    made = claver.Recognizer(tmp_path / "made", unknown=False)
    np.testing.assert_allclose(made(clip).scores, recognizer(clip).scores, atol=1e-4)
    with pytest.raises(ClaverError, match="was exported for clips of 6 frames, not 4"):
        claver.Recognizer(tmp_path / "made", frames=4)
    with pytest.raises(ClaverError, match="for streams, export it of fewer frames"):
        claver.LiveRecognizer(made)


@pytest.mark.slow
def test_a_pooled_tower_and_a_text_tower_that_reads_every_place(tmp_path: Path, clip: Path) -> None:
    needs_onnx()
    pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")
    pytest.importorskip("sentencepiece", reason="sentencepiece (extra hf) is not installed")
    from tests.models import random_family

    (tmp_path / "siglip").mkdir()
    random_family.saved("siglip", tmp_path / "siglip")
    recognizer = claver.Recognizer(
        claver.load(tmp_path / "siglip", temporal="kmct", frames=4),
        ["plays chess", "two", "opens the door"],
        cache=False,
    )
    export_model(recognizer, tmp_path / "made", streaming=True)
    made = claver.Recognizer(tmp_path / "made")
    assert_same(made(clip), recognizer(clip))
    assert made.model.bias is not None
    words: Any = ["slowly", "a person"]
    assert_same(
        claver.Recognizer(tmp_path / "made", words, cache=False)(clip),
        claver.Recognizer(recognizer.model, words, cache=False)(clip),
    )


@pytest.mark.slow
def test_archives_of_torch_and_smaller_weights(tmp_path: Path, clip: Path) -> None:
    needs_onnx()
    recognizer = recognizer_of(timed_model("kmct"), unknown=False)
    report = export_model(recognizer, tmp_path / "torch", form="torch", streaming=True)
    assert {path.suffix for path in (tmp_path / "torch").iterdir()} == {".pt2", ".json", ".safetensors"}
    assert max(report.checked.worst.values()) < 1e-5
    module = torch.export.load(tmp_path / "torch" / "text.pt2").module()
    assert module(torch.tensor([[98, 3, 99]])).shape == (1, 32)
    with pytest.raises(CheckpointError, match="was exported for torch"):
        ExportedModel(tmp_path / "torch")
    plain = sum(record.bytes for record in export_model(recognizer, tmp_path / "fp32").manifest.files.values())
    for precision, share in (("fp16", 0.65), ("int8", 0.5)):
        folder = tmp_path / precision
        report = export_model(recognizer, folder, precision=precision, clips=[clip], streaming=True)  # type: ignore[arg-type]
        assert 1e-5 < max(report.checked.worst.values()) < 0.1
        assert report.loss is not None
        assert report.loss.clips == 1
        assert 0.99 < report.loss.cosine < 1
        videos = Manifest.load(folder).files
        assert videos["video.onnx"].bytes + videos["text.onnx"].bytes < share * plain
        assert "cosine of embeddings" in str(report)


@pytest.mark.slow
def test_a_graph_that_differs_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_onnx()
    recognizer = recognizer_of(timed_model("class"), unknown=False)
    real = writing_module.text_graph

    def wrong(model: Any) -> Any:
        graph = real(model)
        graph.module.text.projection.data[:, 0] = 0
        return graph

    def spoilt(model: Any) -> Any:
        import copy

        return wrong(copy.deepcopy(model))

    monkeypatch.setattr(writing_module, "text_graph", spoilt)
    with pytest.raises(ClaverError, match=r"output text\.text_embeddings is off by .* for ids \[1, 77\]"):
        export_model(recognizer, tmp_path / "made")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_fp16_that_overflows_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    needs_onnx()
    recognizer = recognizer_of(timed_model("mean"), unknown=False)
    with torch.no_grad():
        recognizer.model.text.projection.mul_(1e6)
    with pytest.raises(ClaverError, match=r"output text\.text_embeddings has values that are no numbers"):
        export_model(recognizer, tmp_path / "made", precision="fp16")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_streams_of_one_frame(tmp_path: Path) -> None:
    needs_onnx()
    report = export_model(recognizer_of(timed_model(), frames=1, unknown=False), tmp_path / "made", streaming=True)
    assert report.manifest.graphs["step"]["window"] == 1
    assert max(report.checked.worst.values()) < 1e-4


def test_what_cannot_be_is_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_onnx()
    recognizer = recognizer_of(timed_model("kmt"), unknown=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"form": "tflite"}, "format must be one of onnx, torch, not 'tflite'"),
        ({"precision": "int4"}, "precision must be one of fp32, fp16, int8"),
        ({"pixels": "rgb"}, "pixels must be one of uint8, float"),
        ({"form": "torch", "precision": "int8"}, "int8 is for the format onnx"),
        ({"form": "torch", "clips": ["a.mp4"]}, "clips are compared through onnxruntime"),
        ({"streaming": True}, "--streaming is for temporal kind kmct; kmt looks ahead"),
        ({"output": tmp_path / "full"}, "is no empty folder"),
    ]
    for settings, told in cases:
        with pytest.raises(ClaverError, match=told):
            export_model(recognizer, **{"output": tmp_path / "made", **settings})
    half = timed_model("kmt").bfloat16()
    with pytest.raises(ClaverError, match=r"in float32 on the CPU, not in torch\.bfloat16"):
        export_model(recognizer_of(half, unknown=False), tmp_path / "made")
    monkeypatch.setattr(writing_module, "find_spec", lambda name: None)
    with pytest.raises(ClaverError, match=r"needs the package onnx: pip install 'claver\[export\]'"):
        export_model(recognizer, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_the_best_five_may_only_swap_where_nothing_tells_them_apart() -> None:
    prototypes = torch.eye(6)
    own = torch.tensor([[0.6, 0.5, 0.4, 0.3, 0.2, 0.1]])
    assert checking.same_top(own + 1e-6, own, prototypes)
    assert not checking.same_top(own[:, [1, 0, 2, 3, 4, 5]], own, prototypes)
    near = torch.tensor([[0.6, 0.60001, 0.4, 0.3, 0.2, 0.1]])
    assert checking.same_top(near[:, [1, 0, 2, 3, 4, 5]], near, prototypes)
    assert checking.difference(torch.tensor([[float("nan"), 1.0]]), torch.tensor([[1.0, 1.0]])) == float("inf")

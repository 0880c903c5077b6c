"""What the page can do, without the page: take a file, name its action, say why, and when."""

from __future__ import annotations

import secrets
import shutil
from _thread import LockType
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from claver.app import decoding
from claver.app.job import Job
from claver.app.limits import MEGABYTE, Limits
from claver.app.root import Root
from claver.app.sandbox import Sandbox
from claver.app.uploads import Clip, Served, Visitor, Visitors, display_name
from claver.app.words import Recognizers
from claver.closing import Closing
from claver.errors import ClaverError
from claver.explain import Explanation, explain
from claver.index import Index, SearchResult
from claver.inference.far import FarVideo
from claver.inference.prediction import Prediction
from claver.inference.recognizer import Recognizer
from claver.inference.views import Views
from claver.models import Claver
from claver.timeline import Timeline
from claver.video import VideoViews

BROWSER_NOTE = "Shown as a converted preview without sound; answers are about the file itself."
_TYPES = {".mp4": "video/mp4", ".png": "image/png"}
_PICTURE_BYTES = MEGABYTE


@dataclass(eq=False)
class _Later:
    """A file that is written when it is first asked for, unless it was withdrawn before; calling it gives its path."""

    target: Path
    write: Callable[[str, Job], None]
    job: Job = field(default_factory=Job)
    lock: LockType = field(default_factory=Lock)

    def __call__(self) -> str:
        with self.lock:
            self.job.check()
            if not self.target.exists():
                beside = self.target.with_name(f"{self.target.name}.new")
                try:
                    self.write(str(beside), self.job)
                    beside.replace(self.target)
                finally:
                    beside.unlink(missing_ok=True)
        return str(self.target)

    def withdraw(self) -> None:
        """Stop the writing, and delete what was written."""
        self.job.stop()
        with self.lock:
            self.target.unlink(missing_ok=True)


class Service(Closing):
    """The model with all that its visitors need.

    Args:
        model: the model.
        usual: what answers where a visitor gives no words; None if words must be given.
        folder: private to this process, of `serving.private_folder`.
        model_name: what the page calls the model.
        root: the folder whose videos visitors may name, if any.
        index: what `claver index` made of videos, if there is one.
        limits: what a visitor may ask for.
    """

    def __init__(
        self,
        model: Claver,
        usual: Recognizer | None,
        folder: Path,
        *,
        model_name: str = "",
        root: Root | None = None,
        index: Index | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.model, self.model_name, self.root, self.index = model, model_name, root, index
        self.recognizers = Recognizers(model, usual, self.limits)
        self.uploads = folder / "uploads"
        self.visitors = Visitors(folder / "visitors", self.limits)
        self.sandbox = Sandbox(self.limits)
        self._searching, self._picturing = Lock(), Lock()

    def close(self) -> None:
        """Stop all work and delete all files."""
        self.visitors.close()
        self.sandbox.close()

    def take_upload(self, visitor: Visitor, uploaded: str, job: Job) -> Clip:
        """Take an uploaded file over into the visitor's folder, check it, and make it playable.

        Raises:
            ClaverError: it is too large, or no longer there.
            VideoError: it is no video, or one beyond the limits.
        """
        name, source = display_name(uploaded), Path(uploaded)
        try:
            source = source.resolve(strict=True)
            size = source.stat().st_size
        except (OSError, ValueError) as error:
            raise ClaverError(f"{name} is no longer here; upload it again") from error
        if not source.is_relative_to(self.uploads.resolve()):
            raise ClaverError(f"{name} was not uploaded here")
        if size > self.limits.upload_bytes:
            source.unlink(missing_ok=True)
            raise ClaverError(
                f"{name} is larger than the {self.limits.upload_bytes / 2**20:.0f} MB that are taken here"
            )
        key = secrets.token_hex(16)
        folder = visitor.folder / key
        folder.mkdir(mode=0o700)
        target = folder / f"upload{source.suffix.lower()[:8]}"
        _take_over(source, target, name)
        try:
            clip = self._opened(visitor, key, str(target), name, job)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.visitors.keep(visitor, clip)
        return clip

    def take_named(self, visitor: Visitor, given: str, job: Job) -> Clip:
        """A file below the root, where it lies.

        Raises:
            ClaverError: no folder is open here, or it has no such file.
            VideoError: it is no video, or one beyond the limits.
        """
        if self.root is None:
            raise ClaverError("no folder is open here; upload the video")
        path = self.root.find(given)
        key = secrets.token_hex(16)
        (visitor.folder / key).mkdir(mode=0o700)
        name = path.relative_to(self.root.folder).as_posix()
        clip = self._opened(visitor, key, str(path), display_name(name), job)
        self.visitors.keep(visitor, clip)
        return clip

    def _opened(self, visitor: Visitor, key: str, path: str, name: str, job: Job) -> Clip:
        job.report(None, "checking the file")
        facts: decoding.Facts = self.sandbox.call(job, name, decoding.inspect, path, name, self.limits)
        if facts.plays_as is not None:
            return Clip(key, path, name, facts, self.visitors.serve(visitor, Served(facts.plays_as, path)))
        job.report(None, "converting it for the browser")
        self.visitors.require_room(self.limits.preview_bytes)
        preview = str(visitor.folder / key / "preview.mp4")
        seconds = self.sandbox.call(job, name, decoding.convert, path, name, preview, self.limits)
        note = BROWSER_NOTE
        if seconds < facts.seconds - 1:
            note = f"{BROWSER_NOTE} It ends after {seconds / 60:.1f} of {facts.seconds / 60:.1f} minutes."
        return Clip(key, path, name, facts, self.visitors.serve(visitor, Served("video/mp4", preview)), note)

    def recognize(self, clip: Clip, words: str, job: Job) -> Prediction:
        """Which of the words a clip shows.

        Raises:
            ClaverError: words that cannot be.
            VideoError: the clip cannot be read.
        """
        recognizer = self.recognizers.of(words, job)
        job.report(None, "looking at the clip")
        views = self._views(recognizer, recognizer.views, clip, job)
        job.report(None, "comparing it with the words")
        return recognizer.predict(recognizer.encoder.embed(clip.name, views))

    def explain(self, clip: Clip, words: str, action: str, job: Job) -> Explanation:
        """Why a clip got its score for an action; errors as of `recognize`."""
        recognizer = self.recognizers.of(words, job)
        job.report(None, "looking at the clip")
        views = self._views(recognizer, Views(), clip, job)
        job.report(None, "tracing the score back")
        return explain(recognizer, views, action, name=clip.name)

    def _views(self, recognizer: Recognizer, views: Views, clip: Clip, job: Job) -> VideoViews:
        arguments = (clip.path, clip.name, recognizer.frames, views, recognizer.preprocess)
        packed = self.sandbox.call(job, clip.name, decoding.look, *arguments)
        unpacked: VideoViews = packed.unpacked()
        return unpacked

    def timeline(self, clip: Clip, words: str, fps: float, job: Job) -> Timeline:
        """Which of the words a clip shows when; errors as of `recognize`."""
        recognizer = self.recognizers.of(words, job)
        parts = self.sandbox.stream(job, clip.name, decoding.read, clip.path, clip.name, fps)
        job.report(0.0, "opening the video")

        def progress(done: float, duration: float) -> None:
            job.check()
            job.report(min(done / max(duration, 1e-9), 1), f"{done:.0f} of {duration:.0f} seconds of video")

        return Timeline.of(FarVideo(clip.name, parts, fps), recognizer, fps=fps, progress=progress)

    def search(self, query: str, without: str, top: int, job: Job) -> SearchResult:
        """The moments of the index that fit a query, or the nearest ones if none does.

        Args:
            query: texts of one meaning, a line each.
            without: what they are not to show; may be empty.
            top: how many at most.
            job: whose work it is.

        Raises:
            ClaverError: no query, or it is too long.
        """
        texts, negative = (
            tuple(line.strip() for line in given.splitlines() if line.strip()) for given in (query, without)
        )
        if not texts:
            raise ClaverError("write what you look for, such as: someone enters a room")
        if len(texts + negative) > 16 or max(map(len, texts + negative)) > 300:
            raise ClaverError("a query has at most 16 lines of at most 300 letters")
        job.report(None, "searching")
        with self._searching:
            assert self.index is not None
            found = self.index.search(texts, self.model, top=top, negative=negative)
        return found.only_fitting() if found.fits else found

    def may_play(self, path: str) -> bool:
        """Whether a file that the index names may be shown: below the root, if there is one, and still there."""
        return self.root.holds(path) if self.root is not None else Path(path).is_file()

    def moment_address(self, visitor: Visitor, path: str, start: float, stop: float) -> str:
        """Where a browser plays a moment: a bounded preview, made when it is first asked for."""
        name, between = display_name(path), (max(0.0, start - 1.0), stop + 1.0)

        def write(target: str, job: Job) -> None:
            self.visitors.require_room(self.limits.preview_bytes)
            self.sandbox.call(job, name, decoding.convert, path, name, target, self.limits, *between)

        return self._made_later(visitor, ".mp4", write)

    def picture_address(self, visitor: Visitor, path: str, seconds: float) -> str:
        """Where a browser finds a small picture of a moment, made when it is first asked for."""
        name = display_name(path)

        def write(target: str, job: Job) -> None:
            with self._picturing:  # one after the other: a page asks for dozens, and others have work as well
                self.visitors.require_room(_PICTURE_BYTES)
                self.sandbox.call(job, name, decoding.write_picture, path, name, target, seconds)

        return self._made_later(visitor, ".png", write)

    def _made_later(self, visitor: Visitor, suffix: str, write: Callable[[str, Job], None]) -> str:
        """The address of what `write` writes in a worker process, once it is asked for."""
        later = _Later(visitor.folder / f"{secrets.token_hex(16)}{suffix}", write)
        address = self.visitors.serve(visitor, Served(_TYPES[suffix], make=later))
        visitor.kept.setdefault("moments", []).append((address, later))
        return address

    def forget_moments(self, visitor: Visitor) -> None:
        """Withdraw and delete what the visitor's last search shows, which would fill the room of all."""
        moments = visitor.kept.pop("moments", [])
        self.visitors.withdraw(visitor, [address for address, _ in moments])
        for _, later in moments:
            later.withdraw()

    def explain_moment(self, path: str, start: float, stop: float, query: str, job: Job) -> Explanation:
        """Why a moment fits a text: which of its frames and places, and which words."""
        if not self.may_play(path):
            raise ClaverError(f"{display_name(path)} is not open here")
        name, text = display_name(path), next(line.strip() for line in query.splitlines() if line.strip())
        recognizer = Recognizer(self.model, {text: [text]}, unknown=False, cache=False)
        job.report(None, "looking at the moment")
        arguments = (path, name, start, stop, recognizer.frames, recognizer.preprocess)
        packed = self.sandbox.call(job, name, decoding.look_between, *arguments)
        job.report(None, "tracing the score back")
        return explain(recognizer, packed.unpacked(), text, name=name)


def _take_over(source: Path, target: Path, name: str) -> None:
    """A link of the visitor's own. What Gradio stored is swept away soon (`uploads.sweep`), but not at once: another
    visitor may just have uploaded the same contents under the same name, which Gradio stores once.
    """
    try:
        target.hardlink_to(source)
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise ClaverError(f"{name} is no longer here; upload it again") from error

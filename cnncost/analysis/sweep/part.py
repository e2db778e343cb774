"""A file while it is being written: FILE.part and what it holds, so that a sweep that was cut off goes on.

After every tile the state says how many tiles are in the file and how many bytes that is; whatever stands behind, of a
tile that was cut off, is taken away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from cnncost.analysis.sweep.space import Summary
from cnncost.errors import UsageError


class Part:
    """A file begun, or gone on with. Raises UsageError where that is not possible, and writes nothing then.

    tiles: in it. summary: of them. reasons: why points are impossible, in the order of their numbers.
    """

    def __init__(self, path: str, digest: str, head: bytes, force: bool = False) -> None:
        self.path, self.data, self.state = path, f"{path}.part", f"{path}.part.json"
        self.digest, self.tiles, self.size = digest, 0, 0
        self.summary, self.reasons = Summary(), dict[str, int]()
        self._free(force)
        self.file = self._begun()
        try:
            self._free(force)  # what held the file until now may have finished
            known = self._known(len(head), force)
            if known is None:
                with suppress(FileNotFoundError):
                    os.unlink(self.state)
                os.ftruncate(self.file, 0)
                self._write(head)
                self._keep()
                return
            self.tiles, self.size = known["tiles"], known["bytes"]
            self.summary = Summary.of(known["summary"])
            self.reasons = {text: number for number, text in enumerate(known["reasons"])}
            os.ftruncate(self.file, self.size)
            os.lseek(self.file, 0, os.SEEK_END)
        except BaseException:
            if not os.fstat(self.file).st_size and not os.path.exists(self.state):
                os.unlink(self.data)  # it was made just now
            os.close(self.file)
            raise

    def _free(self, force: bool) -> None:
        """Raise UsageError where the file may not be written."""
        path = self.path
        if not path or os.path.isdir(path) or (os.path.exists(path) and not os.path.isfile(path)):
            raise UsageError(f"{path or repr('')} is no regular file", hint="give the name of a file to write")
        if os.path.lexists(path) and not force:
            raise UsageError(f"{path}: exists already", hint="--force replaces it")

    def _begun(self) -> int:
        """What is there so far, opened, and locked against other sweeps. Raises UsageError."""
        while True:
            try:
                file = os.open(self.data, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as e:
                raise UsageError(f"{self.path}: {e.strerror}", hint="give another file with -o") from None
            self._lock(file)
            with suppress(OSError):
                if os.path.samestat(os.fstat(file), os.stat(self.data)):
                    return file
            os.close(file)  # what held it has just finished, and this is its file

    def _known(self, head: int, force: bool) -> Any:
        """The state of a sweep that was cut off; None where there is none. head: bytes with which a file begins.

        Raises UsageError where it was another sweep.
        """
        size = os.fstat(self.file).st_size
        try:
            with open(self.state, encoding="utf-8") as f:
                known = json.load(f)
            if known["digest"] == self.digest and size >= known["bytes"]:
                return known
        except FileNotFoundError:
            if size <= head:  # cut off before its first state
                return None
        except (OSError, ValueError, KeyError, TypeError):
            pass
        if force or not size:
            return None
        raise UsageError(
            f"{self.data}: begun by another sweep", hint="--force begins anew; or give another file, or the same sweep"
        )

    def _lock(self, file: int) -> None:
        try:
            import fcntl
        except ImportError:  # not on this system
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise UsageError(f"{self.path}: another sweep writes to it", hint="wait, or give another file") from None

    def number(self, reasons: tuple[str, ...]) -> list[int]:
        """The numbers that reasons have in the whole file."""
        return [self.reasons.setdefault(text, len(self.reasons)) for text in reasons]

    def add(self, data: bytes, summary: Summary) -> None:
        """A tile more. Raises UsageError where there is no room; what was there stays."""
        self.summary.merge(summary)
        self._write(data)
        self.tiles += 1
        self._keep()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.file, view) :]
        except OSError as e:
            raise self._full(e) from None
        self.size += len(data)

    def _keep(self) -> None:
        """Say what is in the file, at once or not at all."""
        state = {"digest": self.digest, "tiles": self.tiles, "bytes": self.size, "summary": self.summary.record(),
                 "reasons": list(self.reasons)}  # fmt: skip
        try:
            with open(f"{self.state}~", "w", encoding="utf-8") as f:
                json.dump(state, f)
            os.replace(f"{self.state}~", self.state)
        except OSError as e:
            raise self._full(e) from None

    def _full(self, error: OSError) -> UsageError:
        return UsageError(
            f"{self.path}: {error.strerror}",
            hint=f"{self.tiles:,} tiles are in {self.data}; the same command goes on from there",
        )

    def finish(self, convert: Callable[[str, IO[bytes]], None] | None = None) -> None:
        """The file is whole, and gets its name. convert: writes another form of it."""
        try:
            if convert is not None:
                self._convert(convert)
                os.unlink(self.data)
            else:
                os.replace(self.data, self.path)
            os.unlink(self.state)
        except OSError as e:
            raise self._full(e) from None

    def _convert(self, convert: Callable[[str, IO[bytes]], None]) -> None:
        other = f"{self.data}~"
        try:
            with open(other, "wb") as f:
                convert(self.data, f)
            os.replace(other, self.path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(other)

    def close(self) -> None:
        """Let others write. What is there stays, if it is anything."""
        with suppress(OSError):
            if not self.tiles and os.path.samestat(os.fstat(self.file), os.stat(self.data)):
                os.unlink(self.data)
                os.unlink(self.state)
        with suppress(OSError):
            os.close(self.file)

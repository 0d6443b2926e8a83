"""Files that are written whole or not at all.

The bytes go to a new file in the same folder, which is flushed to the disk and then takes the place of the old one
(rename is atomic on POSIX and on Windows): whoever reads, reads the old bytes or the new ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from errno import EISDIR, ENOTDIR
from pathlib import Path
from uuid import uuid4


def check_target(path: Path) -> None:
    """Raise where a file cannot be written, before any work is done.

    Raises
    ------
    OSError
        If the path is a folder, its folder is missing or may not be written to.
    """
    if path.is_dir():
        raise IsADirectoryError(EISDIR, "is a folder, and a file is to be written", str(path))
    if path.parent.exists() and not path.parent.is_dir():
        raise NotADirectoryError(ENOTDIR, f"cannot be written, since {path.parent} is no folder", str(path))
    part = _part(path)
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        raise type(error)(error.errno, f"cannot be written ({error.strerror})", str(path)) from None
    part.unlink()


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write some files of one folder; where one cannot be written, none is.

    Raises
    ------
    OSError
        If a file cannot be written.  What was written in place of nothing is removed; old files that were replaced
        before the failure stay replaced.
    """
    parts = {path: _part(path) for path in contents}
    fresh = [path for path in contents if not path.exists()]
    path, done = Path(), False
    try:
        for path, data in contents.items():
            with parts[path].open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, part in parts.items():
            os.replace(part, path)
        done = True
    except OSError as error:
        raise type(error)(error.errno, f"could not be written ({error.strerror})", str(path)) from None
    finally:
        for left in [] if done else [*parts.values(), *fresh]:
            with suppress(OSError):
                left.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")


def _flush_folder(folder: Path) -> None:
    """Write the folder's own entries to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

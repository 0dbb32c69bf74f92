"""Where an export goes: a file that appears whole or not at all, or a stream."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import Refusal


@contextmanager
def opened(file: Path, *, force: bool) -> Generator[IO[bytes]]:
    """Yield a stream that becomes `file` at the end; nobody but its owner may read it.

    Raises:
        Refusal: FILE_EXISTS without `force`, FILE_NOT_WRITABLE.
    """
    if file.exists() and not force:
        raise _exists(file)
    try:
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    except OSError as problem:
        raise Refusal("FILE_NOT_WRITABLE", f"{file} cannot be written: {problem.strerror}.") from problem
    part = Path(name)
    try:
        with os.fdopen(number, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        _publish(part, file, force)
    except OSError as problem:
        raise Refusal("FILE_NOT_WRITABLE", f"{file} cannot be written: {problem.strerror}.") from problem
    finally:
        part.unlink(missing_ok=True)


def _publish(part: Path, file: Path, force: bool) -> None:
    if not force:
        try:
            file.hardlink_to(part)
        except FileExistsError:
            raise _exists(file) from None
        except OSError:
            # a file system without hard links: what was made in the meantime can only be looked for
            if file.exists():
                raise _exists(file) from None
        else:
            return
    part.replace(file)


def _exists(file: Path) -> Refusal:
    return Refusal("FILE_EXISTS", f"{file} is there already. Name another file, or say --force to replace it.")

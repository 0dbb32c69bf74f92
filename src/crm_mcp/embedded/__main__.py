"""The launcher and the reaper as processes: `python -m crm_mcp.embedded launch|reap HOME`."""

import argparse
import errno
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import EmbeddedDiskFull, EmbeddedUnavailable
from .home import Home
from .lease import IDLE, PREPARE

if TYPE_CHECKING:
    from .launcher import Prepare


def main(arguments: list[str]) -> int:
    """Run one of the two; the last line on standard error says what went wrong."""
    options = _parser().parse_args(arguments)
    home = Home(options.home)
    try:
        if options.task == "reap":
            from .reaper import reap

            reap(home, idle=options.idle)
        else:
            from .launcher import launch

            launch(
                home,
                revision=options.revision,
                oldest=options.oldest,
                prepare=_prepare(options.prepare),
                idle=options.idle,
                other_build=options.other_build,
                service_user=options.service_user,
                settings=dict(setting.split("=", 1) for setting in options.set),
            )
    except EmbeddedUnavailable as error:
        _say(str(error))
        return EmbeddedDiskFull.EXIT if isinstance(error, EmbeddedDiskFull) else 1
    except Exception as error:
        _note(home)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _say(f"There is no space left on the disk of {home.root}. Free some space and start again.")
            return EmbeddedDiskFull.EXIT
        _say(
            f"The embedded database in {home.root} could not be started: {error or type(error).__name__}. "
            f"The details are at the end of {home.launcher_log}."
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crm_mcp.embedded")
    tasks = parser.add_subparsers(dest="task", required=True)
    for name in ("launch", "reap"):
        task = tasks.add_parser(name)
        task.add_argument("home", type=Path)
        task.add_argument("--idle", type=float, default=IDLE, help="seconds without a client")
    launcher = tasks.choices["launch"]
    launcher.add_argument("--revision", required=True)
    launcher.add_argument("--oldest", required=True)
    launcher.add_argument("--prepare", default=PREPARE, help="module:function")
    launcher.add_argument("--service-user", default="nobody", help="runs Postgres for root")
    launcher.add_argument("--other-build", type=Path, metavar="BIN", help="the bin folder of another Postgres")
    launcher.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a server setting")
    return parser


def _prepare(name: str) -> "Prepare":
    """Load the preparation when it is due: a launcher that finds the work done needs no database driver."""
    module, _, function = name.partition(":")

    def prepare(home: Home) -> None:
        if name == PREPARE and importlib.util.find_spec(module) is None:
            return
        getattr(importlib.import_module(module), function)(home)

    return prepare


def _say(text: str) -> None:
    """One line, whatever is in it; the client that would read it may be gone."""
    try:
        print(" ".join(text.split()), file=sys.stderr, flush=True)
    except OSError:
        return


def _note(home: Home) -> None:
    import traceback

    try:
        with home.launcher_log.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

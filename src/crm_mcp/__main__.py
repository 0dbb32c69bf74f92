"""The command line; with `config` the only reader of the environment."""

import gc
import sys


def main() -> None:
    """Run a command. `serve` and `connect` load no command-line library, so that a client waits for nothing it does not need."""
    if sys.argv[1:2] == ["serve"]:
        gc.disable()  # until everything is imported: collecting in between costs a tenth of the start
        from .serving import main as serve

        serve(sys.argv[2:])
    elif sys.argv[1:2] == ["connect"]:
        gc.disable()
        from .remote.bridge import main as connect

        connect(sys.argv[2:])
    else:
        from .cli import main as command

        command()


if __name__ == "__main__":
    main()

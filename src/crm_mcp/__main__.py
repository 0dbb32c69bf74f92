"""The command line; with `config` the only reader of the environment."""

import gc
import sys


def main() -> None:
    """Run a command. What a client waits for (`serve`, `connect`, `agents hook`) loads no command-line library."""
    if sys.argv[1:2] == ["serve"]:
        gc.disable()  # until everything is imported: collecting in between costs a tenth of the start
        from .serving import main as serve

        serve(sys.argv[2:])
    elif sys.argv[1:2] == ["connect"]:
        gc.disable()
        from .remote.bridge import main as connect

        connect(sys.argv[2:])
    elif sys.argv[1:3] == ["agents", "hook"]:
        gc.disable()
        from .agents.hook import main as answer

        answer(sys.argv[3:])
    else:
        from .cli import main as command

        command()


if __name__ == "__main__":
    main()

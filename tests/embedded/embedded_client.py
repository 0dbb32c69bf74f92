"""A client process: joins the home it is told, says how that went, and stays until its input ends."""

import ast
import sys
from pathlib import Path

from embedded_homes import join_fast

from crm_mcp.embedded import EmbeddedUnavailable, Home

if __name__ == "__main__":
    root, revision, options = sys.argv[1:]
    try:
        lease = join_fast(Home(Path(root)), revision=revision, **ast.literal_eval(options))
    except EmbeddedUnavailable as error:
        print(f"refused: {error}", flush=True)
    else:
        print("joined", flush=True)
        sys.stdin.read()

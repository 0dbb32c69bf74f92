"""`crm-mcp serve` that kills itself at a named point: campaign_serve.py POINT --user EMAIL."""

import sys

from campaign_processes import arm

from crm_mcp.serving import main

if __name__ == "__main__":
    if sys.argv[1] != "answered":
        arm(sys.argv[1])
    main(sys.argv[2:])

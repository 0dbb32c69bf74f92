"""Measures crm-mcp beside a bare server and a bare query, in one interleaved run; asserts nothing."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # whose homes are measured here, made in one place
sys.path.insert(1, str(Path(__file__).parents[1] / "tests" / "matching"))  # whose labelled sets are

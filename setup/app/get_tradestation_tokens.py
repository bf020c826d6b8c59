#!/usr/bin/env python3
"""Sign in at TradeStation and keep the refresh token in .env: forwards to `zerogex auth login`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ZEROGEX = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "zerogex"

if not ZEROGEX.exists():
    sys.exit(f"{ZEROGEX} is not there; run `make setup` first")
os.execv(ZEROGEX, [str(ZEROGEX), "auth", "login", *sys.argv[1:]])

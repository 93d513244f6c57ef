"""`python -m media`: one node alone, as `bedside media` runs it."""

from __future__ import annotations

import sys

from media.node import main

sys.exit(main())

"""How long tests wait for what must happen."""

from __future__ import annotations

#: Seconds within which something awaited must have happened. Nobody waits that long where all is well, and a machine
#: busy with other things may take its time; less than what pyproject.toml lets a whole test take, so that the test
#: can say what never came.
PATIENCE = 60.0

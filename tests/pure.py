"""What can be tried only where the sources themselves run: C neither sees a method that was replaced nor tells its lines."""

import pytest

from schemas.compiled import IS_COMPILED

needs_sources = pytest.mark.skipif(IS_COMPILED, reason="the hot path is compiled: `make pure` lets the sources run")

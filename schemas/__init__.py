"""What flows: pure values. No I/O, no clock."""

import schemas.compiled  # noqa: F401  before any module that may be older than its source

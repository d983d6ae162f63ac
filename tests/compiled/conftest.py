"""Tests marked `compiled` compile for minutes: they take part only where they are asked for, `pytest -m compiled`."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "compiled" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("compiled")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)

"""Numbers start on a line of their own when pytest runs with -s."""

import pytest


@pytest.fixture(autouse=True)
def _fresh_line():
    print()

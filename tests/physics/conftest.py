"""One BLAS thread, as in a run; and numbers start on a line of their own when pytest runs with -s."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True)
def _fresh_line():
    print()

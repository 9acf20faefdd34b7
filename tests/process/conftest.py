"""A process's life is tested on interpreters of their own, as people start them."""

from functools import partial

import pytest

from tests.conftest import Serve


@pytest.fixture
def serve(serve: Serve) -> Serve:
    return partial(serve, fresh=True)

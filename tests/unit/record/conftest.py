from __future__ import annotations

from collections.abc import Iterator

import pytest

from .twins import TWINS, Twin


@pytest.fixture(params=TWINS, ids=repr)
def twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    yield request.param

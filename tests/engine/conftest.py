from collections.abc import Iterator
from pathlib import Path

import pytest

from easy_llama.model import Model


@pytest.fixture(scope="session")
def model(model_path: Path) -> Iterator[Model]:
    model = Model(str(model_path), context_length=2048)
    yield model
    model.unload()

from collections.abc import Iterator
from pathlib import Path

import pytest

from easy_llama.model import Model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Models compute in one thread unless told otherwise.

    Several processes test at once, so that threads of llama.cpp wait for each other more than they compute.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("easy_llama.loading.usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def model(model_path: Path, one_thread: None) -> Iterator[Model]:
    model = Model(str(model_path), context_length=2048)
    yield model
    model.unload()

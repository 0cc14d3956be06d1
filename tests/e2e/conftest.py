"""What end-to-end tests share: one installation for the tests that do not hurt it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installation import Installation, installed
from support.models import cached_example


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands in for `gs://kserve/`, with the models of the scenario."""
    folder = tmp_path_factory.mktemp("bucket")
    models = folder / "models"
    models.mkdir()
    mnist = cached_example("tensorflow", "models/make_mnist_tensorflow.py", "mnist")
    iris = cached_example("sklearn", "models/make_iris_sklearn.py", "iris")
    (models / "mnist").symlink_to(mnist)
    (models / "iris").symlink_to(iris)
    return folder


@pytest.fixture(scope="module")
def installation(bucket: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation of the module's own."""
    folder = tmp_path_factory.mktemp("i")
    with installed(folder, mirrors={"gs://kserve/": f"{bucket.as_uri()}/"}) as made:
        yield made

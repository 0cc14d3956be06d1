"""scikit-learn models as users have them: files, pipelines, and estimators that misbehave."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.models import ModelServer, make, python_of, run_example

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# Estimators that do on a request what their rows say; the server imports them to unpickle.
QUIRKS = """
import os, signal, time
class Obedient:
    def predict(self, rows):
        for row in rows:
            if row[0] == "raise":
                raise RuntimeError("the model gave up")
            if row[0] == "value":
                raise ValueError("the model's own fault")
            if row[0] == "exit":
                raise SystemExit(4)
            if row[0] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if row[0] == "sleep":
                open(row[2], "w").close()
                time.sleep(row[1])
        return [len(row) for row in rows]
class Refusing:
    def __setstate__(self, state):
        raise RuntimeError("made by another version")
    def __getstate__(self):
        return {"a": 1}
class Mute:
    pass
"""


def save(folder: Path, expression: str, *, file: str = "model.joblib") -> Path:
    """Save the value of an expression as a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quirks.py").write_text(QUIRKS)
    (folder / "model").mkdir(exist_ok=True)
    code = f"import joblib\nfrom quirks import *\njoblib.dump({expression}, 'model/{file}')"
    make("sklearn", code, cwd=folder)
    return folder / "model"


def serve(folder: Path, model: Path, env: dict[str, str] | None = None) -> ModelServer:
    arguments = ["--runtime=sklearn", "--model_name=m", f"--model_dir={model}"]
    return ModelServer(python_of("sklearn"), arguments, folder, env)


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iris") / "model"
    run_example("sklearn", "models/make_iris_sklearn.py", str(folder))
    return folder


@pytest.fixture(scope="module")
def iris_server(iris: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    with serve(tmp_path_factory.mktemp("server"), iris) as server:
        yield server.wait_until_listening()


@pytest.fixture
def obedient(tmp_path: Path) -> Iterator[ModelServer]:
    with serve(tmp_path, save(tmp_path, "Obedient()")) as server:
        yield server.wait_until_listening()


TWO_FLOWERS = {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}


def test_the_example_iris_model_answers_to_the_byte(iris_server: ModelServer) -> None:
    answer = iris_server.ask("POST", "/v1/models/m:predict", TWO_FLOWERS)
    assert answer == (200, '{"predictions": [1, 1]}')


def test_all_of_iris_is_predicted_as_scikit_learn_does(
    iris_server: ModelServer, iris: Path
) -> None:
    expected = make(
        "sklearn",
        "import joblib, json\nfrom sklearn.datasets import load_iris\nx = load_iris().data\n"
        "m = joblib.load('model.joblib')\nprint(json.dumps([x.tolist(), m.predict(x).tolist()]))",
        cwd=iris,
    )
    _, document = iris_server.predict("m", {"instances": expected[0]})
    assert document["predictions"] == expected[1]


def test_many_callers_at_once_get_each_his_own(iris_server: ModelServer) -> None:
    flowers = [([5.1, 3.5, 1.4, 0.2], 0), ([6.8, 2.8, 4.8, 1.4], 1), ([6.5, 3.0, 5.8, 2.2], 2)]

    def ask(number: int) -> bool:
        row, label = flowers[number % 3]
        count = 1 + number % 4
        if number % 10 == 9:
            return iris_server.predict("m", {"instances": [row[:3]]})[0] == 400
        return iris_server.predict("m", {"instances": [row] * count}) == (
            200,
            {"predictions": [label] * count},
        )

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ([1, 2, 3], "X has 3 features, but SVC is expecting 4 features as input."),
        ([1, 2, 3, None], "NaN"),
        ([1, 2, 3, "x"], "could not convert string to float: 'x'"),
        ([[1], 2, 3, 4], "inhomogeneous"),
    ],
)
def test_a_bad_row_is_refused_in_scikit_learns_words(
    iris_server: ModelServer, row: list[object], part: str
) -> None:
    status, document = iris_server.predict("m", {"instances": [row]})
    assert status == 400
    assert part in document["error"]


@pytest.mark.parametrize("file", ["model.joblib", "model.pkl", "model.pickle"])
def test_each_file_name_is_found(tmp_path: Path, file: str) -> None:
    with serve(tmp_path, save(tmp_path, "Obedient()", file=file)) as server:
        answer = server.wait_until_listening().predict("m", {"instances": [[1, 2, 3]]})
        assert answer == (200, {"predictions": [3]})


def test_a_plain_pickle_is_loaded(tmp_path: Path) -> None:
    model = save(tmp_path, "None")
    (model / "model.joblib").unlink()
    code = (
        "import pickle\nfrom quirks import *\n"
        "with open('model/model.pkl', 'wb') as file: pickle.dump(Obedient(), file)"
    )
    make("sklearn", code, cwd=tmp_path)
    with serve(tmp_path, model) as server:
        assert server.wait_until_listening().predict("m", {"instances": [[1]]})[0] == 200


def test_two_model_files_are_refused(tmp_path: Path) -> None:
    model = save(tmp_path, "Obedient()")
    save(tmp_path, "Obedient()", file="model.pkl")
    with serve(tmp_path, model) as server:
        assert server.wait_for_end() == 1
    assert (
        "More than one model file is detected, Only one is allowed within model_dir: ["
        in server.log.splitlines()[-1]
    )


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("Refusing()", "RuntimeError: made by another version"),
        ("Mute()", "model.joblib holds a Mute, which has no predict"),
        ("{'a': 1}", "model.joblib holds a dict, which has no predict"),
    ],
)
def test_what_cannot_serve_ends_with_its_reason(
    tmp_path: Path, expression: str, reason: str
) -> None:
    with serve(tmp_path, save(tmp_path, expression)) as server:
        assert server.wait_for_end() == 1
    assert server.log.splitlines()[-1].endswith(reason)


def test_probabilities_are_given_when_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    run_example("sklearn", "models/make_iris_sklearn.py", str(folder), "--estimator=logistic")
    with serve(tmp_path, folder, {"PREDICT_PROBA": "true"}) as server:
        _, document = server.wait_until_listening().predict("m", TWO_FLOWERS)
    assert [len(row) for row in document["predictions"]] == [3, 3]
    assert sum(document["predictions"][0]) == pytest.approx(1)


def test_a_missing_model_is_served_as_not_ready_until_it_comes(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    with serve(tmp_path, model) as server:
        server.wait_until_listening()
        assert server.ask("GET", "/v1/models/m") == (503, '{"name": "m", "ready": false}')
        status, document = server.predict("m", {"instances": [[1]]})
        assert (status, document) == (503, {"error": "Model with name m is not ready."})
        assert f"fail to locate model file for model m under dir {model}," in server.log
        save(tmp_path, "Obedient()")
        assert server.predict("m", {"instances": [[1]]})[0] == 200
        assert server.ask("GET", "/v1/models/m")[0] == 200


def test_subfolders_are_models_of_their_own_when_there_is_no_other(tmp_path: Path) -> None:
    save(tmp_path / "made", "Obedient()")
    (tmp_path / "repository" / "empty").mkdir(parents=True)
    (tmp_path / "made" / "model").rename(tmp_path / "repository" / "beside")
    (tmp_path / "quirks.py").write_text(QUIRKS)
    with serve(tmp_path, tmp_path / "repository") as server:
        server.wait_until_listening()
        assert server.ask("GET", "/v1/models") == (200, '{"models": ["m", "beside"]}')
        assert server.predict("beside", {"instances": [[1, 2]]}) == (200, {"predictions": [2]})


def test_a_pipeline_takes_strings_and_mixed_rows(tmp_path: Path) -> None:
    make(
        "sklearn",
        """
import os, joblib, numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
columns = ColumnTransformer([("colour", OneHotEncoder(), [0])], remainder="passthrough")
rows = np.array([["red", 1], ["blue", 2], ["red", 3], ["blue", 4]], dtype=object)
os.makedirs("model")
pipeline = make_pipeline(columns, LogisticRegression()).fit(rows, ["stop", "go", "stop", "go"])
joblib.dump(pipeline, "model/model.joblib")
""",
        cwd=tmp_path,
    )
    with serve(tmp_path, tmp_path / "model") as server:
        server.wait_until_listening()
        answer = server.predict("m", {"instances": [["red", 2], ["blue", 9]]})
        assert answer == (200, {"predictions": ["stop", "go"]})
        status, document = server.predict("m", {"instances": [["green", 1]]})
        assert status == 400
        assert "Found unknown categories" in document["error"]


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ("raise", "the model gave up"),
        ("value", "the model's own fault"),
        ("exit", "4"),
    ],
)
def test_a_model_that_raises_on_one_request_lives_on(
    obedient: ModelServer, order: str, error: str
) -> None:
    assert obedient.predict("m", {"instances": [[order]]}) == (500, {"error": error})
    assert obedient.predict("m", {"instances": [["fine"]]}) == (200, {"predictions": [1]})


def test_a_model_that_kills_its_process_ends_it(obedient: ModelServer) -> None:
    with pytest.raises((ConnectionError, OSError)):
        obedient.predict("m", {"instances": [["kill"]]})
    assert obedient.wait_for_end() == -signal.SIGKILL


Answers = list[tuple[int, object]]


@pytest.fixture
def sleeping(obedient: ModelServer, tmp_path: Path) -> Iterator[Answers]:
    """A request that sleeps for a second, begun; its answer, once it is there."""
    begun = tmp_path / "begun"
    body = {"instances": [["sleep", 1.0, str(begun)]]}
    answers: Answers = []
    slow = threading.Thread(target=lambda: answers.append(obedient.predict("m", body)))
    slow.start()
    deadline = time.monotonic() + 10
    while not begun.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    yield answers
    slow.join()
    assert answers == [(200, {"predictions": [3]})]


def test_a_long_prediction_does_not_hold_up_health_checks(
    obedient: ModelServer, sleeping: Answers
) -> None:
    statuses = [obedient.ask("GET", "/v1/models/m")[0] for _ in range(20)]
    assert statuses == [200] * 20
    assert not sleeping, "the checks were answered while the model was busy"


def test_what_is_under_way_is_answered_before_the_end(
    obedient: ModelServer, sleeping: Answers
) -> None:
    assert not sleeping
    assert obedient.stop() == 0
    assert not obedient.is_listening()


def test_100_mb_are_read_and_one_byte_more_is_not(obedient: ModelServer) -> None:
    frame = json.dumps({"instances": [["x", ""]]})
    filler = "y" * (104857600 - len(frame))
    body = json.dumps({"instances": [["x", filler]]}).encode()
    assert len(body) == 104857600
    assert obedient.predict("m", body) == (200, {"predictions": [2]})
    connection_error = None
    try:
        status = obedient.predict("m", body + b" ")[0]
    except OSError as error:  # the answer was there before all was sent
        connection_error = error
    assert connection_error is not None or status == 413
    assert obedient.predict("m", {"instances": [["x"]]})[0] == 200

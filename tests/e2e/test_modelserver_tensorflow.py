"""TensorFlow models: the example's digits, and SavedModels with every kind of signature."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.models import EXAMPLES, ModelServer, make, python_of, run_example

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def serve(folder: Path, model: Path, *more: str) -> ModelServer:
    arguments = ["--runtime=tensorflow", "--model_name=m", f"--model_base_path={model}", *more]
    return ModelServer(python_of("tensorflow"), arguments, folder)


# --- the digits of the example


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("mnist") / "mnist"
    return folder, run_example("tensorflow", "models/make_mnist_tensorflow.py", str(folder))


@pytest.fixture(scope="module")
def digits(
    mnist: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelServer]:
    with serve(tmp_path_factory.mktemp("server"), mnist[0]) as server:
        yield server.wait_until_listening()


def images(count: int) -> tuple[np.ndarray, list[int]]:
    with np.load(EXAMPLES / "data" / "mnist10k.npz") as archive:
        return archive["images"][:count].astype(np.float32) / 255, archive["labels"][
            :count
        ].tolist()


def test_the_example_learns_to_read_and_stays_small(mnist: tuple[Path, str]) -> None:
    folder, output = mnist
    match = re.search(r"([\d.]+)% of 1,500 held-out digits right", output)
    assert match is not None
    assert float(match.group(1)) >= 97
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 2_000_000


def test_real_digits_are_read(digits: ModelServer) -> None:
    pixels, labels = images(200)
    status, document = digits.predict("m", {"instances": pixels.tolist()})
    assert status == 200
    verdicts = np.argmax(document["predictions"], axis=1).tolist()
    right = sum(verdict == label for verdict, label in zip(verdicts, labels, strict=True))
    assert right >= 194
    assert np.sum(document["predictions"], axis=1) == pytest.approx(np.ones(200), abs=1e-5)


def test_numbers_are_tensorflows_own_to_the_last_bit(
    digits: ModelServer, mnist: tuple[Path, str]
) -> None:
    pixels, _ = images(5)
    expected = make(
        "tensorflow",
        f"""
import json, numpy as np, tensorflow as tf
pixels = np.load({str(EXAMPLES / "data" / "mnist10k.npz")!r})["images"][:5].astype("float32") / 255
model = tf.saved_model.load({str(mnist[0] / "1")!r})
y = model.signatures["serving_default"](images=tf.constant(pixels))["probabilities"].numpy()
print(json.dumps(y.view("uint32").tolist()))
""",
        cwd=mnist[0],
    )
    _, document = digits.predict("m", {"instances": pixels.tolist()})
    assert np.array(document["predictions"], np.float32).view(np.uint32).tolist() == expected


def test_row_and_columnar_forms_say_the_same(digits: ModelServer) -> None:
    pixels = images(3)[0].tolist()
    _, row = digits.predict("m", {"instances": pixels})
    _, named = digits.predict("m", {"instances": [{"images": image} for image in pixels]})
    _, column = digits.predict("m", {"inputs": pixels})
    _, named_column = digits.predict("m", {"inputs": {"images": pixels}})
    assert row == named
    assert column == named_column
    assert column["outputs"] == row["predictions"]


def test_an_image_of_the_wrong_shape_is_refused(digits: ModelServer) -> None:
    answer = digits.predict("m", {"instances": [[0.0] * 784]})
    assert answer == (
        400,
        {
            "error": 'Input "images" of signature "serving_default" has shape [1,784],'
            " expected [-1,28,28]"
        },
    )


def test_the_status_is_tensorflow_servings(digits: ModelServer) -> None:
    status, text = digits.ask("GET", "/v1/models/m")
    assert status == 200
    assert text == (
        '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n'
        '   "status": {\n    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}'
    )


def test_metadata_tells_names_types_and_shapes(digits: ModelServer) -> None:
    _, text = digits.ask("GET", "/v1/models/m/metadata")
    assert '"dtype": "DT_FLOAT"' in text
    assert '"method_name": "tensorflow/serving/predict"' in text
    assert '"size": "-1"' in text


# --- a model with every kind of signature

SIGNATURES = """
import os, tensorflow as tf
from tensorflow.python.saved_model import signature_def_utils as sd
class Many(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="a"),
                                  tf.TensorSpec([None, 2], tf.int32, name="b")])
    def two(self, a, b):
        return {"sum": a + tf.cast(tf.reduce_sum(b, 1), tf.float32), "b": b}
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def text(self, text):
        return {"upper": tf.strings.upper(text), "raw_bytes": text}
    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
    def scalar(self, x):
        return {"y": x * 2}
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
    def fails(self, x):
        tf.debugging.assert_equal(tf.shape(x)[1], 2, message="two, please")
        return {"y": x / tf.constant(0.0)}
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
        return {"scores": tf.stack([x, 1 - x], 1),
                "classes": tf.tile([["yes", "no"]], [tf.shape(x)[0], 1])}
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
        return {"outputs": x * 2}
many = Many()
signatures = {name: getattr(many, name) for name in
              ("text", "scalar", "fails", "classify", "regress")}
for version in (2, 10):
    tf.saved_model.save(many, f"model/{version}", {"serving_default": many.two, **signatures})
    # TensorFlow 2 writes every method as predict; older exporters name it.
    from tensorflow.core.protobuf import saved_model_pb2
    path = f"model/{version}/saved_model.pb"
    graph = saved_model_pb2.SavedModel.FromString(open(path, "rb").read())
    for name in ("classify", "regress"):
        definition = graph.meta_graphs[0].signature_def[name]
        definition.method_name = f"tensorflow/serving/{name}"
    open(path, "wb").write(graph.SerializeToString())
os.makedirs("model/notes")
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    folder = tmp_path_factory.mktemp("many")
    make("tensorflow", SIGNATURES, cwd=folder)
    with serve(folder, folder / "model") as server:
        yield server.wait_until_listening()


def test_the_highest_version_is_served(many: ModelServer) -> None:
    assert '"version": "10"' in many.ask("GET", "/v1/models/m")[1]
    assert "Successfully loaded servable version {name: m version: 10}" in many.log
    assert many.ask("GET", "/v1/models/m/versions/2")[0] == 404


def test_several_inputs_and_outputs_are_named(many: ModelServer) -> None:
    rows = {"instances": [{"a": 1.5, "b": [1, 2]}, {"a": 0, "b": [3, 4]}]}
    predictions = [{"b": [1, 2], "sum": 4.5}, {"b": [3, 4], "sum": 7.0}]
    assert many.predict("m", rows) == (200, {"predictions": predictions})
    columns = {"inputs": {"a": [1.5], "b": [[1, 2]]}}
    assert many.predict("m", columns) == (200, {"outputs": {"b": [[1, 2]], "sum": [4.5]}})


def test_strings_and_bytes_go_both_ways(many: ModelServer) -> None:
    encoded = base64.b64encode(b"\xff").decode()
    rows = {"signature_name": "text", "instances": ["abc", {"b64": "YWI="}]}
    assert many.predict("m", rows)[1]["predictions"] == [
        {"raw_bytes": {"b64": "YWJj"}, "upper": "ABC"},
        {"raw_bytes": {"b64": "YWI="}, "upper": "AB"},
    ]
    binary = {"signature_name": "text", "instances": [{"b64": encoded}]}
    assert many.predict("m", binary)[1]["predictions"][0]["raw_bytes"] == {"b64": encoded}


def test_a_scalar_is_for_columns_only(many: ModelServer) -> None:
    asked = {"signature_name": "scalar", "inputs": 4}
    assert many.predict("m", asked) == (200, {"outputs": 8.0})
    assert many.predict("m", {"signature_name": "scalar", "instances": [4]})[0] == 400


def test_examples_are_classified_and_regressed(many: ModelServer) -> None:
    body: object = {"signature_name": "classify", "examples": [{"x": 0.25}, {"x": [1.0]}]}
    assert many.ask("POST", "/v1/models/m:classify", body) == (
        200,
        '{\n    "results": [[["yes", 0.25], ["no", 0.75]], [["yes", 1.0], ["no", 0.0]]\n    ]\n}',
    )
    body = {"signature_name": "regress", "context": {"x": 2.0}, "examples": [{}]}
    assert many.ask("POST", "/v1/models/m:regress", body) == (
        200,
        '{\n    "results": [4.0\n    ]\n}',
    )


def test_what_tensorflow_refuses_is_the_callers_to_mend(many: ModelServer) -> None:
    status, document = many.predict("m", {"signature_name": "fails", "instances": [[1]]})
    assert status == 400
    assert "two, please" in document["error"]
    body = {"signature_name": "classify", "examples": [{"z": 1}]}
    assert many.ask("POST", "/v1/models/m:classify", body)[0] == 400


def test_infinities_are_bare_words(many: ModelServer) -> None:
    _, text = many.ask(
        "POST", "/v1/models/m:predict", {"signature_name": "fails", "instances": [[1, -1]]}
    )
    assert '"predictions": [[Infinity, -Infinity]' in text


def test_a_model_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with serve(tmp_path, tmp_path / "model") as server:
        server.wait_until_logged(
            f"No versions of servable m found under base path {tmp_path / 'model'}"
        )
        assert not server.is_listening()
        made = tmp_path / "made"
        made.mkdir()
        make("tensorflow", SIGNATURES, cwd=made)
        (made / "model" / "2").rename(tmp_path / "model" / "2")
        server.wait_until_listening()
        assert '"version": "2"' in server.ask("GET", "/v1/models/m")[1]
        assert server.stop() == 0


def test_a_server_that_waits_can_be_stopped(tmp_path: Path) -> None:
    with serve(tmp_path, tmp_path / "nothing") as server:
        server.wait_until_logged("No versions of servable m found")
        assert server.stop() == 0


def test_a_saved_model_without_its_version_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").touch()
    with serve(tmp_path, tmp_path / "model") as server:
        server.wait_until_logged("which belongs into a numbered folder")


def test_a_version_folder_without_a_model_ends_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "model" / "7").mkdir(parents=True)
    with serve(tmp_path, tmp_path / "model") as server:
        assert server.wait_for_end() == 1
    assert server.log.rstrip().endswith("model/7: the version's folder holds no saved_model.pb")

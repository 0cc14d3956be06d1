"""The scenario, row by row: the real kubectl where it is on the PATH, our own client always."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from support.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("scenario"), pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-mnist" / "mnist_tensorflow.yaml"
NINE = (
    "kserve-lgbserver", "kserve-mlserver", "kserve-paddleserver", "kserve-pmmlserver",
    "kserve-sklearnserver", "kserve-tensorflow-serving", "kserve-torchserve",
    "kserve-tritonserver", "kserve-xgbserver",
)  # fmt: skip
IRIS = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris}
spec:
  predictor:
    sklearn: {storageUri: "gs://kserve/models/iris"}
"""
PORT = r"(:\d+)?"


@pytest.fixture(params=["kubectl", "stagezero"])
def get(request: pytest.FixtureRequest, installation: Installation) -> "Get":
    return Get(installation, request.param)


class Get:
    """`get` by one of the two tools; rows as lists of cells."""

    def __init__(self, installation: Installation, tool: str) -> None:
        self._run = installation.kubectl if tool == "kubectl" else installation.stagezero

    def rows(self, *words: str) -> list[list[str]]:
        """The table's rows, header first, cut at its columns."""
        lines = self._run("get", *words).rstrip().splitlines()
        starts = [match.start() for match in re.finditer(r"(?<=\s)\S|^\S", lines[0])]
        headers = re.split(r"\s{2,}", lines[0].strip())
        starts = [lines[0].index(header) for header in headers]
        ends = [*starts[1:], None]
        return [
            [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
            for line in lines
        ]


@pytest.fixture(scope="module")
def mnist(installation: Installation) -> Installation:
    installation.apply(EXAMPLE.read_text())
    installation.wait("isvc", "mnist")
    return installation


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits that the model never saw (the maker's seed)."""
    with np.load(ROOT / "examples" / "data" / "mnist10k.npz") as archive:
        order = np.random.default_rng(7).permutation(len(archive["images"]))[:count]
        return archive["images"][order], archive["labels"][order]


def test_row_1_namespaces_are_there(get: Get) -> None:
    names = {row[0] for row in get.rows("ns")}
    assert names >= {"default", "istio-system", "istio-ingress", "knative-serving", "kserve"}


def test_row_2_gateway_has_an_address(get: Get) -> None:
    header, row = get.rows("svc", "-n", "istio-ingress")
    assert header[:4] == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP"]
    assert (row[0], row[1], row[3]) == ("istio-ingress", "LoadBalancer", "127.0.0.1")


def test_row_2_other_clients_find_it_too(get: Get) -> None:
    rows = {row[0]: row for row in get.rows("svc", "-n", "istio-system")}
    assert rows["istio-ingressgateway"][3] == "127.0.0.1"


def test_row_12_nine_runtimes(get: Get) -> None:
    header, *rows = get.rows("clusterservingruntimes")
    assert header == ["NAME", "DISABLED", "MODELTYPE", "CONTAINERS", "AGE"]
    assert tuple(row[0] for row in rows) == NINE
    assert {row[3] for row in rows} == {"kserve-container"}


def test_row_13_apply_says_created(installation: Installation) -> None:
    installation.delete("isvc", "mnist") if "mnist" in installation.stagezero(
        "get", "isvc", "-o", "name"
    ) else None
    said = installation.kubectl("apply", "-f", str(EXAMPLE))
    assert said == "inferenceservice.serving.kserve.io/mnist created\n"
    again = installation.kubectl("apply", "-f", str(EXAMPLE))
    assert again == "inferenceservice.serving.kserve.io/mnist unchanged\n"


def test_row_14_columns_of_the_service(mnist: Installation, get: Get) -> None:
    header, row = get.rows("isvc", "mnist")
    assert header == [
        "NAME", "URL", "READY", "PREV", "LATEST", "PREVROLLEDOUTREVISION", "LATESTREADYREVISION",
        "AGE",
    ]  # fmt: skip
    assert re.fullmatch(rf"http://mnist\.default\.localhost{PORT}", row[1])
    assert row[2:7] == ["True", "", "100", "", "mnist-predictor-default-00001"]


def test_row_15_route_of_the_predictor(mnist: Installation, get: Get) -> None:
    header, row = get.rows("routes.serving.knative.dev", "mnist-predictor-default")
    assert header == ["NAME", "URL", "READY", "REASON"]
    assert re.fullmatch(rf"http://mnist-predictor-default\.default\.localhost{PORT}", row[1])
    assert row[2] == "True"


@pytest.mark.parametrize("host", ["mnist-predictor-default.default", "mnist.default"])
def test_row_16_digits_are_recognised(mnist: Installation, host: str) -> None:
    images, labels = digits(10)
    body = json.dumps({"instances": (images / 255).tolist()}).encode()
    answer = mnist.call(f"{host}.localhost", "/v1/models/mnist:predict", body)
    assert answer.status == 200
    probabilities = np.array(answer.json()["predictions"])
    assert probabilities.shape == (10, 10)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)
    assert (probabilities.argmax(axis=1) == labels).sum() >= 9


def test_row_16_any_content_type_will_do(mnist: Installation) -> None:
    images, labels = digits(1)
    body = json.dumps({"instances": (images / 255).tolist()})
    said = mnist.stagezero("predict", "mnist", "-d", body)
    assert np.argmax(json.loads(said)["predictions"][0]) == labels[0]


def test_envoy_answers_not_python(mnist: Installation) -> None:
    answer = mnist.call("mnist.default.localhost", "/v1/models/mnist")
    assert answer.headers["server"] == "istio-envoy"
    assert answer.json()["model_version_status"][0]["state"] == "AVAILABLE"


def test_unknown_host_is_not_found(mnist: Installation) -> None:
    answer = mnist.call("nobody.default.localhost")
    assert (answer.status, answer.body) == (404, b"")


def test_logger_says_that_it_has_no_effect_yet(mnist: Installation) -> None:
    events = json.loads(mnist.stagezero("get", "events", "-o", "json"))["items"]
    assert any(event["reason"] == "LoggerNotServed" for event in events)


def test_pod_s_log_can_be_read(mnist: Installation) -> None:
    pods = mnist.stagezero("get", "pods", "-o", "name").split()
    pod = next(name for name in pods if "mnist-predictor" in name).removeprefix("pod/")
    assert "mnist" in mnist.stagezero("logs", pod, "-c", "kserve-container")
    assert "models/mnist" in mnist.stagezero("logs", pod, "-c", "storage-initializer")


def test_kubectl_follows_the_log(mnist: Installation) -> None:
    pods = mnist.kubectl("get", "pods", "-o", "name").split()
    pod = next(name for name in pods if "mnist-predictor" in name)
    assert "mnist" in mnist.kubectl("logs", pod, "-c", "kserve-container", "--tail=5")


def test_environments_differ_by_runtime(mnist: Installation) -> None:
    mnist.apply(IRIS)
    mnist.wait("isvc", "iris")
    answer = mnist.call(
        "iris.default.localhost",
        "/v1/models/iris:predict",
        b'{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}',
    )
    assert answer.body == b'{"predictions": [1, 1]}'
    prefixes = {prefix_of(mnist, name) for name in ("mnist", "iris")}
    assert len(prefixes) == 2


def prefix_of(installation: Installation, name: str) -> str:
    pods = installation.stagezero("get", "pods", "-o", "name").split()
    pod = next(p for p in pods if f"{name}-predictor" in p).removeprefix("pod/")
    log = installation.stagezero("logs", pod, "-c", "kserve-container")
    found = re.search(r"prefix[= ](\S+)", log)
    assert found is not None, log
    return found[1]


def test_rows_4_and_5_domain_follows_live(mnist: Installation) -> None:
    mnist.apply(
        """
apiVersion: v1
kind: ConfigMap
metadata: {name: config-network, namespace: knative-serving}
data: {domain-template: "{{.Name}}-{{.Namespace}}.{{.Domain}}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-domain, namespace: knative-serving}
data: {taco-cat.xyz: "", localhost: null}
"""
    )
    images, labels = digits(1)
    body = json.dumps({"instances": (images / 255).tolist()}).encode()
    mnist.wait("isvc", "mnist")
    until_url(mnist, "mnist", "http://mnist-default.taco-cat.xyz")
    answer = mnist.call("mnist-default.taco-cat.xyz", "/v1/models/mnist:predict", body)
    assert np.argmax(answer.json()["predictions"][0]) == labels[0]
    row = mnist.get("routes.serving.knative.dev", "mnist-predictor-default")
    assert row["status"]["url"].startswith("http://mnist-predictor-default-default.taco-cat.xyz")


def until_url(installation: Installation, name: str, url: str) -> None:
    """Wait until the service's URL is so, and Ready again."""
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = installation.get("isvc", name)["status"]
        ready = {c["type"]: c["status"] for c in status["conditions"]}["Ready"]
        if status["url"].startswith(url) and ready == "True":
            return
        time.sleep(0.1)
    raise AssertionError(f"the URL never became {url}: {status}")

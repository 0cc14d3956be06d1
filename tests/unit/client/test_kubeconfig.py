"""Kubeconfig files as people have them, and as they should not be."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from stagezero.client.kubeconfig import Access, KubeconfigError, load


def config(**changes: Any) -> dict[str, Any]:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    return {**content, **changes}


def cluster(**fields: Any) -> dict[str, Any]:
    fields = {"server": "https://127.0.0.1:6443", **fields}
    return config(clusters=[{"name": "c", "cluster": fields}])


def user(**fields: Any) -> dict[str, Any]:
    return config(users=[{"name": "u", "user": fields}])


def read(folder: Path, content: dict[str, Any] | str, context: str = "") -> Access:
    path = folder / "config"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return load(path, context)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_usual_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, config()) == Access(
        url="https://127.0.0.1:6443", source=str(tmp_path / "config"), token="secret"
    )


def test_a_slash_behind_the_server_is_dropped(tmp_path: Path) -> None:
    assert read(tmp_path, cluster(server="https://h/k8s/")).url == "https://h/k8s"


def test_certificates_come_as_data(tmp_path: Path) -> None:
    fields = {"client-certificate-data": encoded("CERT"), "client-key-data": encoded("KEY")}
    access = read(tmp_path, user(**fields))
    assert (access.certificate, access.key) == ("CERT", "KEY")


def test_an_authority_comes_as_data(tmp_path: Path) -> None:
    content = cluster(**{"certificate-authority-data": encoded("CA")})
    assert read(tmp_path, content).authority == "CA"


def test_files_are_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    assert read(tmp_path, cluster(**{"certificate-authority": "ca.crt"})).authority == "CA"


def test_data_goes_before_files(tmp_path: Path) -> None:
    both = {"certificate-authority": "no", "certificate-authority-data": encoded("CA")}
    assert read(tmp_path, cluster(**both)).authority == "CA"


def test_a_token_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    assert read(tmp_path, user(tokenFile="token")).token == "from-file"


@pytest.mark.parametrize(
    ("content", "field", "value"),
    [
        (cluster(**{"insecure-skip-tls-verify": True}), "is_verified", False),
        (cluster(**{"tls-server-name": "kubernetes"}), "server_name", "kubernetes"),
        (cluster(**{"proxy-url": "http://p:1"}), "proxy", "http://p:1"),
        (user(username="me", password="pw"), "username", "me"),
        (user(username="me", password="pw"), "password", "pw"),
        (config(), "namespace", "default"),
        (config(), "is_verified", True),
    ],
    ids=["skip verify", "server name", "proxy", "user name", "password", "namespace", "verify"],
)
def test_fields_are_taken(
    tmp_path: Path, content: dict[str, Any], field: str, value: object
) -> None:
    assert getattr(read(tmp_path, content), field) == value


def two_contexts() -> dict[str, Any]:
    return config(
        contexts=[
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "there", "context": {"cluster": "c", "namespace": "models"}},
        ]
    )


def test_another_context_can_be_asked_for(tmp_path: Path) -> None:
    access = read(tmp_path, two_contexts(), "there")
    assert (access.namespace, access.token) == ("models", "")


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    read(tmp_path, config())
    assert load(env={"KUBECONFIG": str(tmp_path / "config")}).token == "secret"


def test_the_home_directory_is_the_last_resort(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    read(tmp_path / ".kube", config())
    assert load(env={"HOME": str(tmp_path)}).token == "secret"


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text(yaml.safe_dump({"users": [{"name": "u", "user": {"token": "first"}}]}))
    second.write_text(yaml.safe_dump(config()))
    env = {"KUBECONFIG": f"{first}:{tmp_path / 'missing'}:{second}"}
    access = load(env=env)
    assert (access.token, access.source) == ("first", str(second))


BROKEN: dict[str, tuple[dict[str, Any] | str, str]] = {
    "not YAML": ("a: [", "is not YAML"),
    "a list": ("- a", "is not a kubeconfig: it holds no mapping"),
    "empty": ("", "no current-context; choose one of: \\(none\\)"),
    "no current": (config(**{"current-context": ""}), "choose one of: here"),
    "no such context": (
        config(**{"current-context": "far"}),
        "there is no context 'far'; contexts are: here",
    ),
    "no such cluster": (
        config(clusters=[]),
        "context 'here' names cluster 'c', which is not there; clusters are: \\(none\\)",
    ),
    "no such user": (config(users=[]), "context 'here' names user 'u', which is not there"),
    "no server": (cluster(server=""), "server of cluster 'c' must be an https:// URL, not ''"),
    "no scheme": (cluster(server="127.0.0.1:1"), "must be an https:// URL, not '127.0.0.1:1'"),
    "clusters no list": (config(clusters=3), "clusters must be a list of mappings"),
    "users without names": (config(users=[{"user": {}}]), "users must be a list of mappings"),
    "contexts of text": (config(contexts=["here"]), "contexts must be a list of mappings"),
    "bad base64": (
        cluster(**{"certificate-authority-data": "%%%a"}),
        "certificate-authority-data of cluster 'c' is not base64",
    ),
    "missing file": (
        cluster(**{"certificate-authority": "no.crt"}),
        "cannot read .*no.crt, the certificate-authority of cluster 'c'",
    ),
    "exec": (user(exec={"command": "aws"}), "user 'u' uses 'exec', which stagezero does not do"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_said(tmp_path: Path, content: dict[str, Any] | str, message: str) -> None:
    with pytest.raises(KubeconfigError, match=message) as refused:
        read(tmp_path, content)
    assert str(tmp_path / "config") in str(refused.value)


@pytest.mark.parametrize("named", [True, False], ids=["by KUBECONFIG", "nowhere"])
def test_a_missing_file_is_named(tmp_path: Path, named: bool) -> None:
    env = {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "mine") if named else ""}
    wanted = "mine; name one" if named else ".kube/config; name one"
    with pytest.raises(KubeconfigError, match=wanted):
        load(env=env)


def test_an_asked_for_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"cannot read the kubeconfig .*nothing"):
        load(tmp_path / "nothing")

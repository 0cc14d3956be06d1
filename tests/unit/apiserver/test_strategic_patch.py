"""Strategic merge patch on the schemas of built-in kinds."""

from typing import Any

import pytest

from stagezero.api import errors
from stagezero.api.apps import Deployment
from stagezero.api.config import ServiceAccount
from stagezero.api.pod import Pod
from stagezero.api.schema import object_schema
from stagezero.apiserver import strategic_patch

POD = object_schema(Pod)


def patched(containers: list[Any], patch: dict[str, Any]) -> list[Any]:
    pod = {"spec": {"containers": containers}}
    spec = strategic_patch.apply(pod, {"spec": patch}, POD)["spec"]
    found: list[Any] = spec["containers"]
    return found


def test_items_merge_by_their_key() -> None:
    assert patched(
        [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}],
        {"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]},
    ) == [
        {"name": "a", "image": "1"},
        {"name": "b", "image": "2"},
        {"name": "c", "image": "3"},
    ]


def test_inner_lists_merge_too() -> None:
    before = [{"name": "a", "env": [{"name": "X", "value": "1"}]}]
    patch = {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}]}
    assert patched(before, patch)[0]["env"] == [
        {"name": "X", "value": "1"},
        {"name": "Y", "value": "2"},
    ]


def test_an_item_is_deleted_by_directive() -> None:
    patch = {"containers": [{"$patch": "delete", "name": "a"}]}
    assert patched([{"name": "a"}, {"name": "b"}], patch) == [{"name": "b"}]


def test_a_list_is_replaced_by_directive() -> None:
    patch = {"containers": [{"name": "c"}, {"$patch": "replace"}]}
    assert patched([{"name": "a"}, {"name": "b"}], patch) == [{"name": "c"}]


def test_null_removes_a_field() -> None:
    patch = {"containers": [{"name": "a", "image": None}]}
    assert patched([{"name": "a", "image": "1"}], patch) == [{"name": "a"}]


def test_lists_without_a_key_are_replaced() -> None:
    patch = {"containers": [{"name": "a", "args": ["new"]}]}
    assert patched([{"name": "a", "args": ["old", "er"]}], patch) == [
        {"name": "a", "args": ["new"]}
    ]


def test_the_order_is_set() -> None:
    patch = {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "containers": [{"name": "c", "image": "3"}],
    }
    names = [item["name"] for item in patched([{"name": "a"}, {"name": "c"}], patch)]
    assert names == ["c", "a"]


def test_items_unknown_to_the_order_keep_their_neighbours() -> None:
    patch = {"$setElementOrder/containers": [{"name": "a"}, {"name": "c"}]}
    before = [{"name": "x"}, {"name": "a"}, {"name": "y"}, {"name": "c"}, {"name": "z"}]
    assert [item["name"] for item in patched(before, patch)] == ["x", "a", "y", "c", "z"]


def test_primitives_merge_as_a_set() -> None:
    schema = object_schema(Pod)
    before = {"metadata": {"finalizers": ["a.b/c", "a.b/d"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}}
    merged = strategic_patch.apply(before, patch, schema)
    assert merged["metadata"]["finalizers"] == ["a.b/d"]


def test_a_map_is_replaced_by_directive() -> None:
    before = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patch = {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}
    assert strategic_patch.apply(before, patch, POD) == {"metadata": {"labels": {"c": "3"}}}


def test_retained_keys_drop_the_others() -> None:
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    merged = strategic_patch.apply(before, patch, object_schema(Deployment))
    assert merged == {"spec": {"strategy": {"type": "Recreate"}}}


def test_directives_never_stay_in_the_object() -> None:
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "a", "$retainKeys": ["name"]}],
        }
    }
    assert strategic_patch.apply({}, patch, POD) == {"spec": {"containers": [{"name": "a"}]}}


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        ({"spec": {"containers": [{"image": "x"}]}}, "declared merge key: name"),
        ({"spec": {"$patch": "explode"}}, "unrecognized type of patch"),
        ({"spec": {"$retainKeys": "type"}}, "not a list"),
        ({"spec": {"$setElementOrder/containers": {}}}, "not a list"),
    ],
    ids=["no key", "directive", "retain", "order"],
)
def test_a_senseless_directive_is_refused(patch: Any, complaint: str) -> None:
    with pytest.raises(errors.BadRequest, match=complaint):
        strategic_patch.apply({"spec": {"containers": []}}, patch, POD)


def test_the_argument_stays_as_it_was() -> None:
    before = {"imagePullSecrets": [{"name": "a"}]}
    patch = {"imagePullSecrets": [{"name": "b"}]}
    strategic_patch.apply(before, patch, object_schema(ServiceAccount))
    assert before == {"imagePullSecrets": [{"name": "a"}]}

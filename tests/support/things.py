"""A custom kind for tests of the API server: `Thing` of things.dev, and objects of it."""

from typing import Any

from stagezero.api.base import Raw

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/things.dev/v1/namespaces/default/things"

SCHEMA: Raw = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 0},
                "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                "replicas": {"type": "integer"},
                "port": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "parts": {"type": "array", "items": {"type": "string"}},
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "url": {"type": "string"},
                "replicas": {"type": "integer"},
                "conditions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
                    },
                },
            },
        },
    },
}
COLUMNS: list[Raw] = [
    {"name": "URL", "type": "string", "jsonPath": ".status.url"},
    {
        "name": "Ready",
        "type": "string",
        "jsonPath": ".status.conditions[?(@.type=='Ready')].status",
    },
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def definition(**changes: Any) -> Raw:
    """The definition of Thing; `changes` go into its versions."""
    names = {
        "plural": "things",
        "kind": "Thing",
        "shortNames": ["th"],
        "categories": ["all"],
    }
    version: Raw = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
            },
        },
        "additionalPrinterColumns": COLUMNS,
        **changes,
    }
    old = {**version, "name": "v1beta1", "storage": False}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.things.dev"},
        "spec": {
            "group": "things.dev",
            "scope": "Namespaced",
            "names": names,
            "versions": [version, old],
        },
    }


def thing(name: str = "x", **spec: Any) -> Raw:
    """A Thing of size 1."""
    return {
        "apiVersion": "things.dev/v1",
        "kind": "Thing",
        "metadata": {"name": name},
        "spec": {"size": 1, **spec},
    }

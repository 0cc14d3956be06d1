"""The CustomResourceDefinition of a noun: what `kubectl apply` would install on a real cluster."""

from stagezero.api.apiextensions import CustomResourceDefinition
from stagezero.api.base import Column, Object, Raw, Resource
from stagezero.api.schema import object_schema


def crd_for(kind: type[Object]) -> Raw:
    """The CRD of a kind as JSON; every served version has the same schema and no conversion."""
    resource = kind.resource
    definition = CustomResourceDefinition.resource
    return {
        "apiVersion": definition.api_version,
        "kind": definition.kind,
        "metadata": {"name": resource.full_name},
        "spec": {
            "group": resource.group,
            "names": _names(resource),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [
                _version(kind, version, is_storage=version == resource.version)
                for version in (resource.version, *resource.also_served)
            ],
        },
    }


def _names(resource: Resource) -> Raw:
    names: Raw = {
        "plural": resource.plural,
        "singular": resource.singular,
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
    }
    if resource.short_names:
        names["shortNames"] = list(resource.short_names)
    if resource.categories:
        names["categories"] = list(resource.categories)
    return names


def _version(kind: type[Object], name: str, is_storage: bool) -> Raw:
    resource = kind.resource
    version: Raw = {
        "name": name,
        "served": True,
        "storage": is_storage,
        "schema": {"openAPIV3Schema": object_schema(kind)},
    }
    subresources: Raw = {}
    if resource.has_status:
        subresources["status"] = {}
    if resource.has_scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
        }
    if subresources:
        version["subresources"] = subresources
    if resource.columns:
        version["additionalPrinterColumns"] = [_column(column) for column in resource.columns]
    return version


def _column(column: Column) -> Raw:
    raw: Raw = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        raw["description"] = column.description
    if column.priority:
        raw["priority"] = column.priority
    return raw

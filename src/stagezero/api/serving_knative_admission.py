"""Admission of Knative's kinds: defaulting, validation, and the texts of its webhooks.

`admissions` gives the table that `compose` registers. What is refused depends on the config maps
(limits, feature flags), so the reader of the current configuration is handed in.
"""

from collections.abc import Callable, Mapping

from stagezero.api import config_knative, name_rules, short_diff, unknown_fields
from stagezero.api import names_knative as names
from stagezero.api import networking_knative_checks as networking_checks
from stagezero.api import serving_knative as serving
from stagezero.api import serving_knative_annotations as annotation_checks
from stagezero.api import serving_knative_defaults as defaults
from stagezero.api import serving_knative_pod as pod_checks
from stagezero.api import serving_knative_traffic as traffic_checks
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Object, Raw
from stagezero.api.config import ConfigMap
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.config_map_values import ConfigError
from stagezero.api.errors import Denied
from stagezero.api.field_error import (
    Errors,
    FieldError,
    disallowed_fields,
    invalid_value,
    missing_field,
    render,
    via,
)
from stagezero.api.networking_knative import Ingress
from stagezero.api.raw_fields import part, parts, text, texts

MUTATING = "webhook.serving.knative.dev"
VALIDATING = "validation.webhook.serving.knative.dev"
CONFIG = "config.webhook.serving.knative.dev"
DOMAIN_VALIDATING = "validation.webhook.domainmapping.serving.knative.dev"

ReadConfig = Callable[[], KnativeConfig]
_Check = Callable[[Raw, AdmissionRequest, KnativeConfig], Errors]
_Fill = Callable[[Raw, AdmissionRequest, KnativeConfig], Raw]


def admissions(read_config: ReadConfig = KnativeConfig) -> dict[type[Object], Admission]:
    """Admission by kind; `read_config` returns the configuration to check against."""
    return {
        serving.Service: _admission(serving.Service, _default_service, check_service, read_config),
        serving.Configuration: _admission(
            serving.Configuration, _default_configuration, check_configuration, read_config
        ),
        serving.Revision: _admission(
            serving.Revision, _default_revision, check_revision, read_config
        ),
        serving.Route: _admission(serving.Route, _default_route, check_route, read_config),
        serving.DomainMapping: _admission(
            serving.DomainMapping, _default_domain_mapping, check_domain_mapping, read_config
        ),
        Ingress: Admission(validate=validate_ingress),
        ConfigMap: Admission(validate=validate_config_map),
    }


def _admission(
    kind: type[serving.Service]
    | type[serving.Configuration]
    | type[serving.Revision]
    | type[serving.Route]
    | type[serving.DomainMapping],
    fill: _Fill,
    check: _Check,
    read_config: ReadConfig,
) -> Admission:
    spec_type = kind.__annotations__["spec"]
    webhook = DOMAIN_VALIDATING if kind is serving.DomainMapping else VALIDATING

    def default(raw: Raw, request: AdmissionRequest) -> Raw:
        if request.subresource or request.operation == "DELETE":
            return raw
        _refuse_unknown(raw, spec_type)
        return fill(raw, request, read_config())

    def validate(raw: Raw, request: AdmissionRequest) -> None:
        if request.subresource or request.operation == "DELETE":
            return
        errors = check(raw, request, read_config())
        if errors:
            raise Denied(webhook, f"validation failed: {render(errors)}", "BadRequest", 400)

    return Admission(default, validate)


def _refuse_unknown(raw: Raw, spec_type: object) -> None:
    unknown = unknown_fields.first_unknown(raw.get("spec"), spec_type)
    if unknown is not None:
        message = (
            f'mutation failed: cannot decode incoming new object: json: unknown field "{unknown}"'
        )
        raise Denied(MUTATING, message, "BadRequest", 400)


def _is_create(request: AdmissionRequest) -> bool:
    return request.operation == "CREATE"


def _default_service(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Raw:
    filled = defaults.service(raw, config.defaults)
    return defaults.user_info(filled, request.old, request.user)


def _default_configuration(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Raw:
    filled = defaults.configuration(raw, config.defaults)
    return filled if _has_owner(raw) else defaults.user_info(filled, request.old, request.user)


def _default_revision(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Raw:
    if not _is_create(request):
        return raw  # a revision never changes: filling it in later would be a change
    return defaults.revision(raw, config.defaults)


def _default_route(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Raw:
    filled = defaults.route(raw)
    return filled if _has_owner(raw) else defaults.user_info(filled, request.old, request.user)


def _default_domain_mapping(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Raw:
    return defaults.user_info(defaults.domain_mapping(raw), request.old, request.user)


def _has_owner(raw: Raw) -> bool:
    return bool(parts(part(raw, "metadata"), "ownerReferences"))


def check_service(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Errors:
    """What is wrong with a Service."""
    metadata = part(raw, "metadata")
    annotations = texts(metadata, "annotations")
    errors = _metadata(metadata)
    errors += via(annotation_checks.no_autoscaling(annotations), "metadata.annotations")
    errors += via(annotation_checks.rollout_duration(annotations), "metadata.annotations")
    errors += _template(raw, config)
    errors += via(traffic_checks.check(part(raw, "spec"), has_own_configuration=True), "spec")
    if request.old is not None:
        errors += _who(raw, request.old) + _name_change(raw, request.old)
    return errors


def check_configuration(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Errors:
    """What is wrong with a Configuration."""
    metadata = part(raw, "metadata")
    annotations = texts(metadata, "annotations")
    errors = _metadata(metadata) + _owner_label(metadata, names.SERVICE, "Service")
    errors += via(annotation_checks.no_autoscaling(annotations), "metadata.annotations")
    errors += _template(raw, config)
    if request.old is not None:
        errors += () if _has_owner(raw) else _who(raw, request.old)
        errors += _name_change(raw, request.old)
    return errors


def check_revision(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Errors:
    """What is wrong with a Revision; its spec never changes."""
    metadata, spec = part(raw, "metadata"), part(raw, "spec")
    if request.old is not None:
        difference = short_diff.of_revision(part(request.old, "spec"), spec)
        if difference:
            return (FieldError("Immutable fields changed (-old +new)", ("spec",), difference),)
    errors = _metadata(metadata) + _owner_label(metadata, names.CONFIGURATION, "Configuration")
    errors += via(
        annotation_checks.autoscaling(texts(metadata, "annotations"), config.autoscaler),
        "metadata.annotations",
    )
    return errors + (via(pod_checks.check(spec, config), "spec") if request.old is None else ())


def check_route(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Errors:
    """What is wrong with a Route."""
    metadata = part(raw, "metadata")
    annotations = texts(metadata, "annotations")
    errors = _metadata(metadata) + _owner_label(metadata, names.SERVICE, "Service")
    errors += via(annotation_checks.no_autoscaling(annotations), "metadata.annotations")
    errors += via(annotation_checks.rollout_duration(annotations), "metadata.annotations")
    errors += via(traffic_checks.check(part(raw, "spec"), has_own_configuration=False), "spec")
    if request.old is not None and not _has_owner(raw):
        errors += _who(raw, request.old)
    return errors


def check_domain_mapping(raw: Raw, request: AdmissionRequest, config: KnativeConfig) -> Errors:
    """What is wrong with a DomainMapping."""
    metadata, ref = part(raw, "metadata"), part(raw, "spec", "ref")
    name = text(metadata, "name")
    errors: Errors = ()
    if text(metadata, "generateName"):
        errors += (disallowed_fields("metadata.generateName"),)
    problems = name_rules.dns_1123_subdomain(name)
    if problems or "." not in name:
        details = (
            problems[0]
            if problems
            else "should be a domain with at least two segments separated by dots"
        )
        errors += (FieldError(f'invalid name "{name}": {details}', ("metadata.name",)),)
    if f".{name}".endswith(".cluster.local"):
        rule = 'must not be a subdomain of cluster local domain "cluster.local"'
        errors += (FieldError(f'invalid name "{name}": {rule}', ("metadata.name",)),)
    missing = [field for field in ("name", "kind", "apiVersion") if not text(ref, field)]
    errors += tuple(missing_field(f"spec.ref.{field}") for field in missing)
    namespace, other = text(metadata, "namespace"), text(ref, "namespace")
    if other and other != namespace:
        details = f'parent namespace: "{namespace}" does not match ref: "{other}"'
        errors += (FieldError("mismatched namespaces", ("spec.ref.namespace",), details),)
    return errors + (_who(raw, request.old) if request.old is not None else ())


def _metadata(metadata: Raw) -> Errors:
    name, prefix = text(metadata, "name"), text(metadata, "generateName")
    errors: Errors = ()
    problems = name_rules.dns_1035_prefix(prefix) if prefix else []
    if problems:
        message = f"not a DNS 1035 label prefix: [{' '.join(problems)}]"
        errors += (FieldError(message, ("metadata.generateName",)),)
    problems = name_rules.dns_1035_label(name) if name else []
    if problems:
        message = f"not a DNS 1035 label: [{' '.join(problems)}]"
        errors += (FieldError(message, ("metadata.name",)),)
    if not name and not prefix:
        errors += (FieldError("name or generateName is required", ("metadata.name",)),)
    return errors


def _owner_label(metadata: Raw, label: str, kind: str) -> Errors:
    value = texts(metadata, "labels").get(label)
    owners = {(text(ref, "kind"), text(ref, "name")) for ref in parts(metadata, "ownerReferences")}
    if value is None or (kind, value) in owners:
        return ()
    return (missing_field(f"metadata.labels.{label}"),)


def _template(raw: Raw, config: KnativeConfig) -> Errors:
    template = part(raw, "spec", "template")
    metadata = part(template, "metadata")
    annotations = texts(metadata, "annotations")
    errors = via(pod_checks.check(part(template, "spec"), config), "spec")
    found = (
        *annotation_checks.autoscaling(annotations, config.autoscaler),
        *annotation_checks.queue_resources(annotations),
        *annotation_checks.progress_deadline(annotations),
    )
    errors += via(found, "metadata.annotations")
    errors += _revision_name(metadata, part(raw, "metadata"))
    return via(errors, "spec.template")


def _revision_name(metadata: Raw, parent: Raw) -> Errors:
    prefix, name = text(metadata, "generateName"), text(metadata, "name")
    problems = name_rules.dns_1035_prefix(prefix) if prefix else []
    if problems:
        message = f"not a DNS 1035 label prefix: [{' '.join(problems)}]"
        return (invalid_value(message, "metadata.generateName"),)
    if not name:
        return ()
    problems = name_rules.dns_1035_label(name)
    if problems:
        message = f"not a DNS 1035 label: [{' '.join(problems)}]"
        return (invalid_value(message, "metadata.name"),)
    parent_name = text(parent, "name")
    if not parent_name and text(parent, "generateName"):
        return (disallowed_fields("metadata.name"),)
    if not name.startswith(f"{parent_name}-"):
        message = f'"{name}" must have prefix "{parent_name}-"'
        return (invalid_value(message, "metadata.name"),)
    return ()


def _name_change(raw: Raw, old: Raw) -> Errors:
    before, after = part(old, "spec", "template"), part(raw, "spec", "template")
    name = text(part(after, "metadata"), "name")
    if not name or name != text(part(before, "metadata"), "name"):
        return ()
    difference = short_diff.of_template(before, after)
    if not difference:
        return ()
    message = "Saw the following changes without a name change (-old +new)"
    return (FieldError(message, ("spec.template.metadata.name",), difference),)


def _who(raw: Raw, old: Raw) -> Errors:
    before = texts(part(old, "metadata"), "annotations")
    after = texts(part(raw, "metadata"), "annotations")
    errors: Errors = ()
    if names.CREATOR in before and before[names.CREATOR] != after.get(names.CREATOR):
        errors += (FieldError("annotation value is immutable", (names.CREATOR,)),)
    modifier = after.get(names.LAST_MODIFIER)
    if modifier != before.get(names.LAST_MODIFIER) and raw.get("spec") == old.get("spec"):
        errors += (invalid_value(modifier or "", names.LAST_MODIFIER),)
    return via(errors, "metadata.annotations")


def validate_ingress(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse a KIngress that no network layer could serve."""
    if request.subresource or request.operation == "DELETE":
        return
    errors = via(networking_checks.check_ingress(part(raw, "spec")), "spec")
    if errors:
        raise Denied(VALIDATING, f"validation failed: {render(errors)}", "BadRequest", 400)


def validate_config_map(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse an edit that would break a config map of Knative Serving."""
    metadata = part(raw, "metadata")
    name = text(metadata, "name")
    is_ours = text(metadata, "namespace") == config_knative.NAMESPACE
    if request.operation == "DELETE" or not is_ours:
        return
    data: Mapping[str, str] = texts(raw, "data")
    try:
        config_knative.check(name, data, texts(metadata, "annotations"))
    except ConfigError as error:
        raise Denied(CONFIG, f"validation failed: {error}", "BadRequest", 400) from error

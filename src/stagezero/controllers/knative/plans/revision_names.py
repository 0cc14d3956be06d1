"""Which revision is a Configuration's current one: found by the name its author gave or by label.

A name brought by the author may be taken by another Configuration's revision, or by an earlier one
with another spec; requests never move to such a revision.
"""

from collections.abc import Iterable

from stagezero.api import names_knative as names
from stagezero.api.serving_knative import Configuration, Revision
from stagezero.controllers.knative.plans import children


def generation_of(revision: Revision) -> int:
    """The Configuration's generation that made a revision; 0 if its label is unreadable."""
    label = revision.metadata.labels.get(names.CONFIGURATION_GENERATION, "")
    return int(label) if label.isdecimal() else 0


def find_revision(configuration: Configuration, revisions: Iterable[Revision]) -> Revision | None:
    """The revision of the current generation, among the Configuration's own."""
    wanted = configuration.spec.template.metadata.name
    generation = configuration.metadata.generation
    for revision in revisions:
        is_it = (
            revision.metadata.name == wanted if wanted else generation_of(revision) == generation
        )
        if is_it and children.is_owned(revision, configuration):
            return revision
    return None


def is_name_taken(configuration: Configuration, named: Revision | None) -> bool:
    """Whether the revision that bears the wanted name is another one than wanted."""
    template = configuration.spec.template
    if named is None or named.metadata.name != template.metadata.name:
        return False
    if not children.is_owned(named, configuration):
        return True
    if generation_of(named) == configuration.metadata.generation:
        return False
    return named.spec != template.spec

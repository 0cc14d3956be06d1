"""Events: what happened to an object, for people to read."""

from typing import ClassVar

from stagezero.api.base import Noun, Object, Resource
from stagezero.api.pod import ObjectReference


class EventSource(Noun):
    """Who reports an event."""

    component: str = ""
    host: str = ""


class EventSeries(Noun):
    """How often an event came."""

    count: int = 0
    last_observed_time: str | None = None


class Event(Object):
    """One thing that happened to an object, counted if it comes again."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "Event", "events", short_names=("ev",), is_builtin=True
    )
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    count: int = 0
    type: str = ""
    event_time: str | None = None
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = ""
    reporting_instance: str = ""

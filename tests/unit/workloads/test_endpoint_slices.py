"""EndpointSlices say what the Endpoints say."""

from stagezero.api.base import controller_of
from stagezero.api.core import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from stagezero.api.discovery import EndpointSlice
from stagezero.controllers.workloads.plans.endpoint_slices import SlicesObserved, plan_slices
from stagezero.runtime.plan import NOTHING
from support.workloads import NOW, deleting, meta


def subset(*ips: str, port: int = 8080) -> EndpointSubset:
    addresses = [EndpointAddress(ip) for ip in ips]
    late = [EndpointAddress("10.0.0.9")]
    return EndpointSubset(addresses, late, [EndpointPort(port, "http", "TCP")])


def endpoints(*subsets: EndpointSubset) -> Endpoints:
    return Endpoints(metadata=meta("web", labels={"app": "web"}), subsets=list(subsets))


def slices(thing: Endpoints) -> list[EndpointSlice]:
    made = plan_slices(SlicesObserved(thing), NOW).apply
    return [found for found in made if isinstance(found, EndpointSlice)]


def test_each_subset_makes_a_slice() -> None:
    made = slices(endpoints(subset("10.0.0.1"), subset("10.0.0.2", port=81)))
    assert [found.ports[0].port for found in made] == [8080, 81]
    assert len({found.metadata.name for found in made}) == 2


def test_addresses_tell_whether_they_are_ready() -> None:
    (made,) = slices(endpoints(subset("10.0.0.1")))
    told = [(found.addresses, found.conditions.ready) for found in made.endpoints]
    assert told == [(["10.0.0.1"], True), (["10.0.0.9"], False)]


def test_a_slice_is_found_by_its_service() -> None:
    (made,) = slices(endpoints(subset("10.0.0.1")))
    assert made.metadata.labels["kubernetes.io/service-name"] == "web"
    assert made.metadata.labels["app"] == "web"


def test_a_slice_goes_with_its_endpoints() -> None:
    ref = controller_of(slices(endpoints(subset("10.0.0.1")))[0])
    assert ref is not None and ref.kind == "Endpoints"


def test_the_name_stays_when_addresses_change() -> None:
    before, after = slices(endpoints(subset("10.0.0.1"))), slices(endpoints(subset("10.0.0.2")))
    assert before[0].metadata.name == after[0].metadata.name


def test_without_addresses_there_is_no_slice() -> None:
    old = slices(endpoints(subset("10.0.0.1")))
    made = plan_slices(SlicesObserved(endpoints(), tuple(old)), NOW)
    assert made.apply == ()
    assert made.delete == tuple(old)


def test_endpoints_being_deleted_do_nothing() -> None:
    assert plan_slices(SlicesObserved(deleting(endpoints(subset("10.0.0.1")))), NOW) == NOTHING

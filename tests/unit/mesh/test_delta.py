"""The delta stream: nonces, order, rejections, coming back."""

from collections.abc import Iterable

import pytest

from stagezero.mesh.delta import Batch, DeltaStream, Request, Verdict
from stagezero.mesh.plans.encode_listeners import encode_listener
from stagezero.mesh.plans.resources import EMPTY, Kind, Resource, Snapshot, resource
from support.envoy_fake import Proxy, exchange
from support.mesh import SETTINGS

LISTENER = encode_listener(80, SETTINGS)


def made(kind: Kind, name: str, body: str = "1", needs: Iterable[str] = ()) -> Resource:
    return resource(kind, name, body.encode(), None, frozenset(needs))


def cluster(name: str, body: str = "1") -> Resource:
    return made(Kind.CLUSTER, name, body)


def load(name: str, body: str = "1") -> Resource:
    return made(Kind.LOAD, name, body)


def table(body: str = "1", needs: Iterable[str] = ()) -> Resource:
    return made(Kind.TABLE, "http.80", body, needs)


def snapshot(*resources: Resource) -> Snapshot:
    found: dict[Kind, dict[str, Resource]] = {kind: {} for kind in Kind}
    for one in resources:
        found[one.kind][one.name] = one
    return found


def opened(proxy: Proxy) -> DeltaStream:
    stream = DeltaStream()
    for request in proxy.hello():
        stream.receive(request)
    return stream


class Talk:
    """A stream and an Envoy that answers at once."""

    def __init__(self) -> None:
        self.proxy = Proxy()
        self.stream = opened(self.proxy)
        self.verdicts: list[Verdict] = []

    def show(self, *resources: Resource) -> None:
        self.proxy.batches.clear()
        self.verdicts.clear()
        exchange(self.stream, self.proxy, snapshot(*resources), self.verdicts.append)

    def has(self, kind: Kind) -> dict[str, str]:
        return {name: one.body.decode() for name, one in self.proxy.has[kind].items()}

    def reopen(self) -> None:
        self.stream = opened(self.proxy)


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_everything_arrives(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"), LISTENER, table())
    assert {kind: set(names) for kind, names in talk.proxy.has.items()} == {
        Kind.CLUSTER: {"a"},
        Kind.LOAD: {"a"},
        Kind.LISTENER: {LISTENER.name},
        Kind.TABLE: {"http.80"},
    }


def test_clusters_go_before_the_routes_that_name_them(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"), LISTENER, table(needs=["a"]))
    kinds = [batch.kind for batch in talk.proxy.batches if batch.resources]
    assert kinds.index(Kind.CLUSTER) < kinds.index(Kind.TABLE)


def test_the_first_word_about_clusters_is_said_even_if_there_are_none(talk: Talk) -> None:
    talk.show(LISTENER, table())
    first = talk.proxy.batches[0]
    assert (first.kind, first.resources) == (Kind.CLUSTER, ())
    assert LISTENER.name in talk.proxy.has[Kind.LISTENER]


def test_nothing_new_is_nothing_sent(talk: Talk) -> None:
    everything = (cluster("a"), load("a"), LISTENER, table())
    talk.show(*everything)
    talk.show(*everything)
    assert talk.proxy.batches == []


def test_only_what_changed_is_sent(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"), cluster("b"), load("b"))
    talk.show(cluster("a"), load("a", "2"), cluster("b"), load("b"))
    assert talk.proxy.sent(Kind.LOAD) == [("a",)]
    assert talk.proxy.sent(Kind.CLUSTER) == []


def test_a_changed_cluster_has_its_load_sent_with_it(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"), cluster("b"), load("b"))
    talk.proxy.batches.clear()
    batches = talk.stream.due(snapshot(cluster("a", "2"), load("a"), cluster("b"), load("b")))
    assert [(batch.kind, [one.name for one in batch.resources]) for batch in batches] == [
        (Kind.CLUSTER, ["a"]),
        (Kind.LOAD, ["a"]),
    ]


def test_a_load_without_endpoints_is_sent_too(talk: Talk) -> None:
    talk.show(cluster("a"), load("a", ""))
    assert talk.has(Kind.LOAD) == {"a": ""}


def test_a_cluster_that_goes_is_removed(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"), cluster("b"), load("b"))
    talk.show(cluster("b"), load("b"))
    assert talk.has(Kind.CLUSTER) == {"b": "1"}


def test_a_cluster_goes_only_after_the_routes_without_it(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"), LISTENER, table("1", ["a"]))
    batches = talk.stream.due(snapshot(LISTENER, table("2")))
    assert [batch.kind for batch in batches] == [Kind.TABLE]
    talk.show(LISTENER, table("2"))
    for request in talk.proxy.answer(batches[0]):
        talk.stream.receive(request)
    talk.show(LISTENER, table("2"))
    assert talk.has(Kind.CLUSTER) == {}


def test_a_table_waits_for_its_clusters(talk: Talk) -> None:
    talk.show(LISTENER, table())
    changed = snapshot(cluster("a"), load("a"), LISTENER, table("2", ["a"]))
    assert [batch.kind for batch in talk.stream.due(changed)] == [Kind.CLUSTER]


def test_a_table_does_not_wait_for_a_cluster_that_does_not_exist(talk: Talk) -> None:
    talk.show(LISTENER, table(needs=["nowhere"]))
    assert talk.has(Kind.TABLE) == {"http.80": "1"}


def test_a_table_does_not_wait_for_a_cluster_that_is_refused(talk: Talk) -> None:
    talk.proxy.refuses = lambda one: "bad" if one.name == "a" else ""
    talk.show(cluster("a"), load("a"), LISTENER, table(needs=["a"]))
    assert talk.has(Kind.TABLE) == {"http.80": "1"}


def test_one_table_at_a_time_is_on_its_way(talk: Talk) -> None:
    talk.show(LISTENER, table())
    assert len(talk.stream.due(snapshot(LISTENER, table("2")))) == 1
    assert talk.stream.due(snapshot(LISTENER, table("3"))) == []


def test_what_was_skipped_meanwhile_is_never_sent(talk: Talk) -> None:
    talk.show(LISTENER, table())
    (batch,) = talk.stream.due(snapshot(LISTENER, table("2")))
    talk.stream.due(snapshot(LISTENER, table("3")))
    talk.stream.receive(Request(Kind.TABLE, nonce=batch.nonce))
    (last,) = talk.stream.due(snapshot(LISTENER, table("4")))
    assert last.resources[0].body == b"4"


def test_acknowledged_is_what_the_nonce_carried(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"))
    (first,) = talk.stream.due(snapshot(cluster("a"), load("a", "2")))
    (second,) = talk.stream.due(snapshot(cluster("a"), load("a", "3")))
    talk.stream.receive(Request(Kind.LOAD, nonce=first.nonce))
    acked = talk.stream.acked(Kind.LOAD, "a")
    assert acked is not None
    assert acked.body == b"2"
    verdict = talk.stream.receive(Request(Kind.LOAD, nonce=second.nonce))
    assert [one.body for one in verdict.acked] == [b"3"]


def test_what_is_only_sent_is_not_acknowledged(talk: Talk) -> None:
    talk.stream.due(snapshot(cluster("a"), load("a")))
    assert talk.stream.acked(Kind.CLUSTER, "a") is None


def test_an_unknown_nonce_means_nothing(talk: Talk) -> None:
    verdict = talk.stream.receive(Request(Kind.CLUSTER, nonce="999"))
    assert verdict == Verdict()


def test_a_missing_load_is_answered_once(talk: Talk) -> None:
    talk.show()
    talk.stream.receive(Request(Kind.LOAD, ("ghost",)))
    (batch,) = talk.stream.due(EMPTY)
    assert batch.removed == ("ghost",)
    assert talk.stream.due(EMPTY) == []


def test_a_missing_load_that_appears_is_sent(talk: Talk) -> None:
    talk.show()
    talk.stream.receive(Request(Kind.LOAD, ("late",)))
    talk.stream.due(EMPTY)
    (batch,) = talk.stream.due(snapshot(load("late")))
    assert batch.resources[0].name == "late"


def test_whoever_asks_again_gets_it_again(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"))
    talk.stream.receive(Request(Kind.LOAD, ("a",)))
    (batch,) = talk.stream.due(snapshot(cluster("a"), load("a")))
    assert batch.resources[0].name == "a"


# Rejections.


def test_a_refused_resource_is_known_with_envoys_words(talk: Talk) -> None:
    talk.proxy.refuses = lambda one: "so bad" if one.body == b"bad" else ""
    talk.show(cluster("a", "bad"), load("a"))
    rejection = talk.stream.rejected(Kind.CLUSTER, "a")
    assert rejection is not None
    assert rejection.text == "so bad"


def test_a_refused_version_is_not_sent_again(talk: Talk) -> None:
    talk.proxy.refuses = lambda one: "bad" if one.body == b"bad" else ""
    talk.show(cluster("a", "bad"))
    talk.show(cluster("a", "bad"))
    assert talk.proxy.batches == []


def test_the_last_good_version_stays(talk: Talk) -> None:
    talk.proxy.refuses = lambda one: "bad" if one.body == b"bad" else ""
    talk.show(LISTENER, table("1"))
    talk.show(LISTENER, table("bad"))
    acked = talk.stream.acked(Kind.TABLE, "http.80")
    assert acked is not None
    assert acked.body == b"1"


def test_a_mended_version_ends_the_rejection(talk: Talk) -> None:
    talk.proxy.refuses = lambda one: "bad" if one.body == b"bad" else ""
    talk.show(cluster("a", "bad"))
    talk.show(cluster("a", "good"))
    assert talk.stream.rejected(Kind.CLUSTER, "a") is None
    assert talk.has(Kind.CLUSTER) == {"a": "good"}


class Strict(Proxy):
    """Refuses a whole response for one bad resource, and may keep silent about which."""

    is_telling = False

    def answer(self, batch: Batch) -> list[Request]:
        bad = [one.name for one in batch.resources if one.body == b"bad"]
        if not bad:
            return super().answer(batch)
        self.batches.append(batch)
        words = f"Error adding/updating cluster(s) {bad[0]}: no" if self.is_telling else "no"
        return [Request(batch.kind, nonce=batch.nonce, error=words)]


@pytest.mark.parametrize("is_telling", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("bad", [{3}, {0, 9}, set(range(10))], ids=["one", "two", "all"])
def test_the_culprits_of_a_response_are_found(is_telling: bool, bad: set[int]) -> None:
    proxy = Strict()
    proxy.is_telling = is_telling
    stream = opened(proxy)
    names = [f"cluster-{number}" for number in range(10)]
    wanted = [cluster(n, "bad" if i in bad else "good") for i, n in enumerate(names)]
    exchange(stream, proxy, snapshot(*wanted), lambda verdict: None)
    refused = {n for n in names if stream.rejected(Kind.CLUSTER, n) is not None}
    assert refused == {names[number] for number in bad}
    assert set(proxy.has[Kind.CLUSTER]) == set(names) - refused


def test_a_rejection_is_tried_again_when_asked(talk: Talk) -> None:
    talk.proxy.refuses = lambda one: "port in use" if one.kind is Kind.LISTENER else ""
    talk.show(LISTENER)
    talk.proxy.refuses = lambda one: ""
    talk.stream.retry(Kind.LISTENER)
    assert talk.stream.rejected(Kind.LISTENER, LISTENER.name) is not None
    talk.show(LISTENER)
    assert talk.stream.rejected(Kind.LISTENER, LISTENER.name) is None
    assert LISTENER.name in talk.proxy.has[Kind.LISTENER]


# Coming back.


def test_on_a_new_stream_nothing_is_acknowledged_yet(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"))
    talk.reopen()
    assert talk.stream.acked(Kind.CLUSTER, "a") is None


def test_on_a_new_stream_everything_is_sent_again(talk: Talk) -> None:
    everything = (cluster("a"), load("a"), LISTENER, table())
    talk.show(*everything)
    talk.reopen()
    talk.show(*everything)
    kinds = {batch.kind for batch in talk.proxy.batches if batch.resources}
    assert kinds == set(Kind)
    assert talk.stream.acked(Kind.TABLE, "http.80") is not None


def test_what_went_while_we_were_away_is_removed(talk: Talk) -> None:
    talk.show(cluster("a"), load("a"), cluster("b"), load("b"), LISTENER, table())
    talk.reopen()
    talk.show(cluster("b"), load("b"), LISTENER, table())
    assert set(talk.proxy.has[Kind.CLUSTER]) == {"b"}


def test_a_listener_that_went_is_removed(talk: Talk) -> None:
    talk.show(LISTENER, table())
    talk.reopen()
    talk.show()
    assert talk.proxy.has[Kind.LISTENER] == {}


def test_three_hundred_changes_are_one_response(talk: Talk) -> None:
    many = [one for n in range(300) for one in (cluster(f"c{n}"), load(f"c{n}"))]
    talk.show(*many)
    assert [len(names) for names in talk.proxy.sent(Kind.CLUSTER)] == [300]
    assert all(talk.stream.acked(Kind.LOAD, f"c{n}") for n in range(300))

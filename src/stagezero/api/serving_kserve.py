"""KServe's kinds: InferenceService, ServingRuntime and ClusterServingRuntime.

An InferenceService names a model and where it lies; a runtime says which program serves which
formats. Field names follow KServe 0.8; fields of later versions that do no harm are accepted.
"""

from typing import Annotated, Any, ClassVar

from msgspec import field

from stagezero.api.base import Column, Condition, Noun, Object, Raw, Resource
from stagezero.api.container import Container
from stagezero.api.fields import doc
from stagezero.api.pod import PodSpec
from stagezero.api.serving_knative import Addressable, TrafficTarget

GROUP = "serving.kserve.io"
CONTAINER_NAME = "kserve-container"
MODELS_DIR = "/mnt/models"

LABEL_ISVC = f"{GROUP}/inferenceservice"
LABEL_COMPONENT = "component"
MODE_ANNOTATION = f"{GROUP}/deploymentMode"
TAG_ROUTING_ANNOTATION = f"{GROUP}/enable-tag-routing"
SOURCE_URI_ANNOTATION = "internal.serving.kserve.io/storage-initializer-sourceuri"

FRAMEWORKS = (
    "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "pmml", "lightgbm", "paddle",
)  # fmt: skip
"""The legacy keys of a predictor, in the order in which KServe looks for them."""


class ModelFormat(Noun):
    """The format of a model, by the name that runtimes list."""

    name: str
    version: str | None = None


class PredictorExtension(Container):
    """A model served by a framework's runtime; container fields overlay the runtime's container."""

    storage_uri: Annotated[str | None, doc("Where the model lies: gs://, https://, file:// …")] = (
        None
    )
    runtime_version: Annotated[str | None, doc("Tag of the runtime's image.")] = None
    protocol_version: Annotated[str | None, doc("v1 or v2.")] = None
    storage: Raw | None = None


class ModelSpec(PredictorExtension):
    """A model by its format; the runtime is chosen by it, unless named."""

    model_format: ModelFormat = ModelFormat(name="")
    runtime: Annotated[str | None, doc("Name of a ServingRuntime or ClusterServingRuntime.")] = None


class Logger(Noun):
    """Copies requests and responses to a sink as CloudEvents."""

    url: str | None = None
    mode: Annotated[str, doc("all, request or response.")] = ""
    metadata_headers: list[str] = []


class Batcher(Noun):
    """Joins requests into batches; `max_latency` in milliseconds."""

    max_batch_size: int | None = None
    max_latency: int | None = None
    timeout: int | None = None


class ComponentSpec(PodSpec):
    """What predictor, transformer and explainer share: a pod spec and how it is scaled."""

    min_replicas: Annotated[int | None, doc("At least so many pods; 0: may sleep.")] = None
    max_replicas: Annotated[int, doc("At most so many pods; 0: no limit.")] = 0
    scale_target: int | None = None
    scale_metric: str | None = None
    container_concurrency: Annotated[
        int | None, doc("Requests that one pod works on at a time.")
    ] = None
    timeout: Annotated[int | None, doc("Seconds a request may take.")] = None
    canary_traffic_percent: Annotated[
        int | None, doc("Percent of requests for the latest revision.")
    ] = None
    logger: Logger | None = None
    batcher: Batcher | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class PredictorSpec(ComponentSpec):
    """Serves the model: exactly one framework, `model`, or containers of one's own."""

    sklearn: PredictorExtension | None = None
    xgboost: PredictorExtension | None = None
    tensorflow: PredictorExtension | None = None
    pytorch: PredictorExtension | None = None
    triton: PredictorExtension | None = None
    onnx: PredictorExtension | None = None
    pmml: PredictorExtension | None = None
    lightgbm: PredictorExtension | None = None
    paddle: PredictorExtension | None = None
    model: ModelSpec | None = None


class ExplainerExtension(Container):
    """A built-in explainer."""

    type: str = ""
    storage_uri: str | None = None
    runtime_version: str | None = None
    config: dict[str, str] = {}


class ExplainerSpec(ComponentSpec):
    """Explains predictions: exactly one built-in explainer, or containers of one's own."""

    alibi: ExplainerExtension | None = None
    aix: ExplainerExtension | None = None
    art: ExplainerExtension | None = None


class InferenceServiceSpec(Noun):
    """A predictor, and optionally what stands before and beside it."""

    predictor: PredictorSpec
    transformer: ComponentSpec | None = None
    explainer: ExplainerSpec | None = None


class ComponentStatus(Noun):
    """Which revisions of a component exist, are ready and get requests."""

    latest_ready_revision: str = ""
    latest_created_revision: str = ""
    previous_rolledout_revision: str = ""
    latest_rolledout_revision: str = ""
    traffic: list[TrafficTarget] = []
    url: str = ""
    address: Addressable | None = None


class InferenceServiceStatus(Noun):
    """What became of an InferenceService."""

    observed_generation: int = 0
    conditions: list[Condition] = []
    url: str = ""
    address: Addressable | None = None
    components: dict[str, ComponentStatus] = {}
    model_status: Raw | None = None


_PREDICTOR_TRAFFIC = ".status.components.predictor.traffic"


class InferenceService(Object):
    """A model as a service."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1beta1", "InferenceService", "inferenceservices",
        short_names=("isvc",), has_status=True,
        columns=(
            Column("URL", ".status.url"),
            Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            Column("Prev", f"{_PREDICTOR_TRAFFIC}[?(@.tag=='prev')].percent", "integer"),
            Column("Latest", f"{_PREDICTOR_TRAFFIC}[?(@.latestRevision==true)].percent", "integer"),
            Column("PrevRolledoutRevision", f"{_PREDICTOR_TRAFFIC}[?(@.tag=='prev')].revisionName"),
            Column(
                "LatestReadyRevision",
                f"{_PREDICTOR_TRAFFIC}[?(@.latestRevision==true)].revisionName",
            ),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )  # fmt: skip
    spec: InferenceServiceSpec = field(
        default_factory=lambda: InferenceServiceSpec(predictor=PredictorSpec())
    )
    status: InferenceServiceStatus = InferenceServiceStatus()


class SupportedModelFormat(Noun):
    """A format that a runtime serves; without `auto_select` only when the runtime is named."""

    name: str
    version: str | None = None
    auto_select: bool | None = None
    priority: int | None = None


class ServingRuntimeSpec(PodSpec):
    """Which program serves which model formats."""

    supported_model_formats: list[SupportedModelFormat] = []
    multi_model: bool | None = None
    disabled: bool | None = None
    protocol_versions: list[str] = []
    grpc_endpoint: str | None = None
    grpc_data_endpoint: str | None = None
    http_data_endpoint: str | None = None
    replicas: int | None = None
    storage_helper: Raw | None = None
    built_in_adapter: Raw | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


_RUNTIME_COLUMNS = (
    Column("Disabled", ".spec.disabled", "boolean"),
    Column("ModelType", ".spec.supportedModelFormats[*].name"),
    Column("Containers", ".spec.containers[*].name"),
    Column("Age", ".metadata.creationTimestamp", "date"),
)


class ServingRuntime(Object):
    """A runtime for the InferenceServices of its namespace."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "ServingRuntime", "servingruntimes", columns=_RUNTIME_COLUMNS
    )
    spec: ServingRuntimeSpec = ServingRuntimeSpec()


class ClusterServingRuntime(Object):
    """A runtime for the InferenceServices of every namespace."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "ClusterServingRuntime", "clusterservingruntimes",
        namespaced=False, columns=_RUNTIME_COLUMNS,
    )  # fmt: skip
    spec: ServingRuntimeSpec = ServingRuntimeSpec()


class TrainedModelSpec(Noun):
    """A model to be loaded into an InferenceService that serves many."""

    inference_service: str = ""
    model: dict[str, Any] = {}


class TrainedModel(Object):
    """One of many models of an InferenceService; stored, not served yet."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "TrainedModel", "trainedmodels",
        short_names=("tm",), has_status=True,
        columns=(
            Column("URL", ".status.url"),
            Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )  # fmt: skip
    spec: TrainedModelSpec = TrainedModelSpec()
    status: InferenceServiceStatus = InferenceServiceStatus()


KINDS: tuple[type[Object], ...] = (
    InferenceService, ServingRuntime, ClusterServingRuntime, TrainedModel,
)  # fmt: skip

"""TensorFlow: SavedModels in numbered version folders, loaded and run by TensorFlow itself.

The highest version is served. Its signatures are read from the file's own SignatureDefs, because
these carry the names, types and methods that TensorFlow Serving answers with.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stagezero.inference.tensors import STRING, Shape, Signature, TensorSpec, shape_text
from stagezero.inference.tfserving_request import DEFAULT_SIGNATURE
from stagezero.modelserver.errors import InvalidInput, ModelBroken, ModelMissing, PredictionFailed
from stagezero.modelserver.runtimes.base import Array, LoadOptions

log = logging.getLogger("stagezero.modelserver")

# Not callable by name from outside: the initialiser of tf.saved_model's own bookkeeping.
_HIDDEN_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")
_SERVE_TAG = "serve"


class TensorFlowModel:
    """One version of a SavedModel."""

    def __init__(self, tensorflow: Any, loaded: Any, definitions: Mapping[str, Any]) -> None:
        self._tf = tensorflow
        self._loaded = loaded  # it owns the variables
        self._definitions = definitions
        self._functions = {name: loaded.signatures[name] for name in definitions}
        self.version = 0
        self.signatures = {
            name: _signature(tensorflow, name, definition)
            for name, definition in definitions.items()
        }

    def describe(self) -> Mapping[str, Any]:
        """The SignatureDefs, as protobuf's JSON writes them."""
        from google.protobuf.json_format import MessageToDict

        return {
            name: MessageToDict(
                definition,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            for name, definition in self._definitions.items()
        }

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Call a signature on whole tensors."""
        for name, array in inputs.items():
            spec = self.signatures[signature].inputs[name]
            if not spec.accepts(array.shape):
                raise InvalidInput(
                    f'Input "{name}" of signature "{signature}" has shape'
                    f" {shape_text(array.shape)}, expected {shape_text(spec.shape)}"
                )
        errors = self._tf.errors
        try:
            feeds = {name: self._tf.constant(array) for name, array in inputs.items()}
            outputs = self._functions[signature](**feeds)
            return {name: _to_numpy(outputs[name]) for name in sorted(outputs)}
        except (
            errors.InvalidArgumentError,
            errors.FailedPreconditionError,
            errors.OutOfRangeError,
        ) as error:
            raise InvalidInput(error.message) from error
        except errors.OpError as error:
            raise PredictionFailed(error.message) from error
        except (TypeError, ValueError) as error:
            raise PredictionFailed(str(error)) from error

    def serialize_examples(self, examples: Sequence[Mapping[str, Any]]) -> Array:
        """tf.train.Example messages of feature lists."""
        train = self._tf.train
        messages = []
        for features in examples:
            example = train.Example()
            for name, values in features.items():
                feature = example.features.feature[name]
                if values and isinstance(values[0], bytes):
                    feature.bytes_list.value.extend(values)
                elif values and isinstance(values[0], float):
                    feature.float_list.value.extend(values)
                elif values:
                    feature.int64_list.value.extend(values)
            messages.append(example.SerializeToString())
        return np.array(messages, dtype=object)

    def warm_up(self) -> None:
        """Run the default signature, so that no request pays for its first calls."""
        signature = self.signatures.get(DEFAULT_SIGNATURE)
        if signature is None:
            return
        specs = signature.inputs.values()
        if any(spec.datatype == STRING or spec.shape is None for spec in specs):
            return  # no made-up text is sure to be a good one
        # TensorFlow prepares again when the batch is first more than one.
        for batch in (1, 2):
            inputs = {
                spec.name: np.zeros([size or batch for size in spec.shape or ()], spec.datatype)
                for spec in specs
            }
            try:
                self.run(DEFAULT_SIGNATURE, inputs)
            except (InvalidInput, PredictionFailed) as error:
                log.warning("the model refused zeros, it starts cold: %s", error)
                return


class TensorFlowRuntime:
    """TensorFlow in this process."""

    def __init__(self, tensorflow: Any, options: LoadOptions) -> None:
        self._tf = tensorflow
        self._options = options
        self.framework = f"tensorflow {tensorflow.__version__}"
        # TensorFlow runs outside the interpreter's lock; more threads than cores gain nothing.
        self.thread_count = max(2, len(os.sched_getaffinity(0)))

    def preload(self) -> None:
        """Nothing more than the import: TensorFlow forks only before its first operation."""

    def load(self, name: str, folder: Path) -> TensorFlowModel:
        """Load the highest version."""
        version, path = _latest_version(name, folder)
        if not any((path / file).is_file() for file in ("saved_model.pb", "saved_model.pbtxt")):
            raise ModelBroken(name, path, "the version's folder holds no saved_model.pb")
        self._set_threads()
        with _quiet_stderr():
            meta_graph = self._meta_graph(name, path)
            loaded = self._tf.saved_model.load(str(path), tags=list(meta_graph.meta_info_def.tags))
        model = TensorFlowModel(self._tf, loaded, _callable_definitions(meta_graph, loaded))
        model.version = version
        if not model.signatures:
            raise ModelBroken(name, path, "the SavedModel has no signatures, so nothing to serve")
        model.warm_up()
        log.info("Successfully loaded servable version {name: %s version: %d}", name, version)
        return model

    def find_others(self, folder: Path) -> Mapping[str, Path]:
        """None: a base path belongs to one model."""
        return {}

    def _set_threads(self) -> None:
        cores = len(os.sched_getaffinity(0))
        threading = self._tf.config.threading
        try:
            threading.set_intra_op_parallelism_threads(self._options.intra_op_threads or cores)
            threading.set_inter_op_parallelism_threads(self._options.inter_op_threads or cores)
        except RuntimeError as error:
            log.warning("TensorFlow's threads stay as they are: %s", error)

    def _meta_graph(self, name: str, path: Path) -> Any:
        """The graph that is tagged for serving, or the only one."""
        from tensorflow.python.saved_model.loader_impl import parse_saved_model

        meta_graphs = parse_saved_model(str(path)).meta_graphs
        for meta_graph in meta_graphs:
            if set(meta_graph.meta_info_def.tags) == {_SERVE_TAG}:
                return meta_graph
        if len(meta_graphs) == 1:
            return meta_graphs[0]
        tags = [sorted(meta_graph.meta_info_def.tags) for meta_graph in meta_graphs]
        raise ModelBroken(name, path, f"no graph is tagged {_SERVE_TAG!r} alone, there are {tags}")


def open_runtime(options: LoadOptions) -> TensorFlowRuntime:
    """Import TensorFlow and nothing more: a process that has run it can no longer be forked."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _quiet_stderr():
        import tensorflow
    return TensorFlowRuntime(tensorflow, options)


def _latest_version(name: str, folder: Path) -> tuple[int, Path]:
    children = folder.iterdir() if folder.is_dir() else ()
    versions = {int(child.name): child for child in children if _is_version(child)}
    if versions:
        return max(versions.items())
    message = f"No versions of servable {name} found under base path {folder}"
    if (folder / "saved_model.pb").is_file():
        message += (
            f": it holds a SavedModel itself, which belongs into a numbered folder, {folder}/1"
        )
    raise ModelMissing(message)


def _is_version(path: Path) -> bool:
    return path.name.isascii() and path.name.isdigit() and path.is_dir()


def _callable_definitions(meta_graph: Any, loaded: Any) -> Mapping[str, Any]:
    return {
        name: definition
        for name, definition in sorted(meta_graph.signature_def.items())
        if name not in _HIDDEN_SIGNATURES and name in loaded.signatures
    }


def _signature(tensorflow: Any, name: str, definition: Any) -> Signature:
    def specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
        return {key: _spec(tensorflow, key, infos[key]) for key in sorted(infos)}

    return Signature(
        name, specs(definition.inputs), specs(definition.outputs), definition.method_name
    )


def _spec(tensorflow: Any, name: str, info: Any) -> TensorSpec:
    shape: Shape | None = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(name, tensorflow.dtypes.as_dtype(info.dtype).name, shape)


def _to_numpy(tensor: Any) -> Array:
    value = tensor.numpy()  # of a scalar string it is plain bytes
    array: Array = np.asarray(value, dtype=object if isinstance(value, bytes) else None)
    # bfloat16 and its like are no types of numpy's own.
    return array.astype(np.float32) if array.dtype.kind == "V" else array


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep the C++ libraries' chatter out of the pod's log; if the body raises, show it all."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)

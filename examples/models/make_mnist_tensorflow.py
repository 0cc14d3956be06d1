"""Train a small convolutional network on real handwritten digits and export it as a SavedModel.

    python examples/models/make_mnist_tensorflow.py FOLDER

writes `FOLDER/1/`, which TensorFlow Serving and its like serve: `serving_default` takes `images`,
28×28 floats from 0 to 1, and gives `probabilities`, ten of them. The digits are
`examples/data/mnist10k.npz` (see the README there); 8,500 are learnt from, 1,500 held out.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# TensorFlow reports its processor's features while it is imported, whatever its log level.
_stderr = os.dup(2)
with open(os.devnull, "wb") as _nothing:
    os.dup2(_nothing.fileno(), 2)
try:
    import numpy as np
    import tensorflow as tf
finally:
    os.dup2(_stderr, 2)

DIGITS = Path(__file__).resolve().parent.parent / "data" / "mnist10k.npz"
SEED = 7
HELD_OUT = 1500
BATCH = 64


def load_digits(path: Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images from 0 to 1 and labels: those to learn from, those held out."""
    with np.load(path) as archive:
        images, labels = archive["images"].astype(np.float32) / 255, archive["labels"]
    order = np.random.default_rng(SEED).permutation(len(images))
    images, labels = images[order], labels[order].astype(np.int64)
    return (images[HELD_OUT:], labels[HELD_OUT:]), (images[:HELD_OUT], labels[:HELD_OUT])


class DigitNet(tf.Module):
    """Two convolutions and two dense layers: 106,000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = self._weights("conv1", (5, 5, 1, 16))
        self.bias1 = tf.Variable(tf.zeros([16]))
        self.conv2 = self._weights("conv2", (3, 3, 16, 32))
        self.bias2 = tf.Variable(tf.zeros([32]))
        self.dense = self._weights("dense", (32 * 7 * 7, 64))
        self.bias3 = tf.Variable(tf.zeros([64]))
        self.out = self._weights("out", (64, 10))
        self.bias4 = tf.Variable(tf.zeros([10]))

    def _weights(self, name: str, shape: tuple[int, ...]) -> tf.Variable:
        spread = float(np.sqrt(2 / np.prod(shape[:-1])))
        seed = [SEED, sum(shape)]
        return tf.Variable(tf.random.stateless_normal(shape, seed, stddev=spread), name=name)

    def logits(self, images: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Scores of the ten digits."""
        x = tf.reshape(images, [-1, 28, 28, 1])
        x = tf.nn.relu(tf.nn.conv2d(x, self.conv1, 1, "SAME") + self.bias1)
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        x = tf.nn.relu(tf.nn.conv2d(x, self.conv2, 1, "SAME") + self.bias2)
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        x = tf.nn.relu(tf.reshape(x, [-1, 32 * 7 * 7]) @ self.dense + self.bias3)
        if dropout_seed is not None:
            x = tf.nn.experimental.stateless_dropout(x, rate=0.3, seed=dropout_seed)
        return x @ self.out + self.bias4

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.float32, name="images")])
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Probabilities of the ten digits."""
        return {"probabilities": tf.nn.softmax(self.logits(images))}


class Adam:
    """The optimiser, in ten lines: importing Keras for it would take longer than an epoch."""

    def __init__(self, variables: tuple[tf.Variable, ...]) -> None:
        self._variables = variables
        self._means = [tf.Variable(tf.zeros_like(v)) for v in variables]
        self._squares = [tf.Variable(tf.zeros_like(v)) for v in variables]
        self._step = tf.Variable(0.0)

    def apply(self, gradients: list[tf.Tensor], rate: tf.Tensor) -> None:
        self._step.assign_add(1.0)
        rate = rate * tf.sqrt(1 - 0.999**self._step) / (1 - 0.9**self._step)
        parts = zip(self._variables, gradients, self._means, self._squares, strict=True)
        for variable, gradient, mean, square in parts:
            mean.assign(0.9 * mean + 0.1 * gradient)
            square.assign(0.999 * square + 0.001 * gradient**2)
            variable.assign_sub(rate * mean / (tf.sqrt(square) + 1e-7))


def train(net: DigitNet, images: np.ndarray, labels: np.ndarray, epochs: int) -> None:
    """Fit the network, a line an epoch."""
    adam = Adam(net.trainable_variables)

    @tf.function
    def step(batch: tf.Tensor, truth: tf.Tensor, seed: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = net.logits(batch, dropout_seed=seed)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            loss = tf.reduce_mean(losses)
        adam.apply(tape.gradient(loss, net.trainable_variables), rate)
        return loss

    random = np.random.default_rng(SEED)
    count = len(images) // BATCH
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        rate = tf.constant(0.002 * (1 - epoch / epochs))
        order = random.permutation(len(images))
        for index in range(count):
            chosen = order[index * BATCH : (index + 1) * BATCH]
            seed = tf.constant([epoch, index])
            total += float(step(images[chosen], labels[chosen], seed, rate))
            if sys.stderr.isatty() and index % 10 == 0:
                print(
                    f"\r  epoch {epoch + 1}/{epochs}: {index / count:4.0%}", end="", file=sys.stderr
                )
        took_s = time.monotonic() - started
        print(
            f"\r  epoch {epoch + 1}/{epochs}: loss {total / count:.3f}, {took_s:.1f} s", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the model is written")
    parser.add_argument("--digits", type=Path, default=DIGITS)
    parser.add_argument("--version", type=int, default=1, help="the version folder's number")
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()

    tf.random.set_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    (images, labels), (held_images, held_labels) = load_digits(args.digits)
    print(f"Training on {len(images):,} handwritten digits ...", flush=True)
    net = DigitNet()
    train(net, images, labels, args.epochs)
    verdicts = np.argmax(net.serve(held_images)["probabilities"], axis=1)
    target = args.folder / str(args.version)
    tf.saved_model.save(net, str(target), signatures={"serving_default": net.serve})
    accuracy = float(np.mean(verdicts == held_labels))
    print(f"{target}: {accuracy:.1%} of {HELD_OUT:,} held-out digits right")


if __name__ == "__main__":
    main()

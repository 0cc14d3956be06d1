"""Write a few digits that the model's maker held out: `pick_digits.py FILE COUNT`."""

import json
import sys
from pathlib import Path

import numpy as np

DIGITS = Path(__file__).resolve().parent.parent / "data" / "mnist10k.npz"
SEED = 7  # the maker's: the first 1,500 of this order were never learnt from


def main() -> None:
    """Pick the first digits of the held-out part."""
    target, count = Path(sys.argv[1]), int(sys.argv[2])
    with np.load(DIGITS) as archive:
        images, labels = archive["images"], archive["labels"]
    order = np.random.default_rng(SEED).permutation(len(images))[:count]
    chosen = [{"label": int(labels[i]), "image": images[i].tolist()} for i in order]
    target.write_text(json.dumps(chosen))


if __name__ == "__main__":
    main()

"""Train a scikit-learn SVC on iris and save it as `model.joblib`.

    python examples/models/make_iris_sklearn.py FOLDER

Serve it as `storageUri: file:///.../FOLDER` with `modelFormat: {name: sklearn}`.
"""

import argparse
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

ESTIMATORS = {
    "svc": lambda: SVC(gamma="scale", random_state=0),
    "logistic": lambda: LogisticRegression(max_iter=1000, random_state=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the model is written")
    parser.add_argument("--estimator", choices=sorted(ESTIMATORS), default="svc")
    args = parser.parse_args()

    features, labels = load_iris(return_X_y=True)
    estimator = ESTIMATORS[args.estimator]().fit(features, labels)
    args.folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(estimator, args.folder / "model.joblib")
    accuracy = estimator.score(features, labels)
    print(f"{args.folder / 'model.joblib'}: {args.estimator} on iris, {accuracy:.1%} right")


if __name__ == "__main__":
    main()

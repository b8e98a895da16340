"""Save models in one environment and load them in another, with other versions of the libraries.

``python tests/exchange.py save FOLDER`` in the first, ``python tests/exchange.py load FOLDER`` in the second;
``.ci/oldest`` does so in both directions.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold

import skcry
from skcry import CryDetector, EnergyGate, make_cry_pipeline
from skcry.datasets import make_cry_recordings


def estimators(groups):
    net = {f"features__frames__net__{name}": value for name, value in {"max_epochs": 1, "min_steps": 1}.items()}
    pipeline = make_cry_pipeline(features=("frames", "stats"), resample="under", random_state=0).set_params(**net)
    yield "detector", CryDetector(pipeline, gate=EnergyGate(), random_state=0), {"groups": groups}
    linear = make_cry_pipeline(LogisticRegression(max_iter=1000), features="stats", random_state=0)
    search = GridSearchCV(CryDetector(linear, threshold=0.5), {"merge_gap": [1, 5]}, cv=GroupKFold(3))
    yield "search", search, {"groups": groups}


def main(what, folder):
    recordings, annotations, groups = make_cry_recordings(6, duration=20, random_state=0)
    for name, estimator, params in estimators(groups):
        path = Path(folder, f"{name}.skcry")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scikit-learn, for each estimator from another version
            if what == "save":
                skcry.save(estimator.fit(recordings, annotations, **params), path)
                np.save(path.with_suffix(".npy"), estimator.predict_proba(recordings))
                continue
            loaded = skcry.load(path)
        difference = np.abs(loaded.predict_proba(recordings) - np.load(path.with_suffix(".npy"))).max()
        print(f"{name}: probabilities differ by {difference:.1e} at most")
        # Versions of torch round differently: by 1e-7 in the network, by less than 1e-5 after scaling and calibration.
        assert difference < 1e-4


if __name__ == "__main__":
    main(*sys.argv[1:])

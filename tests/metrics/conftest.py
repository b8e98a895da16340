import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def sed_eval():
    """Import the reference implementation, whose dcase_util imports pkg_resources, which setuptools has dropped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pkg_resources", ModuleType("pkg_resources"))
        import sed_eval
    return sed_eval


@pytest.fixture
def make_timeline():
    """Make a timeline of recordings (name -> score per second), decided at 0.5."""

    def make(scores):
        tables = {name: pd.DataFrame({"score": np.asarray(score, dtype=float)}) for name, score in scores.items()}
        timeline = pd.concat(tables, names=["recording", "second"])
        return timeline.assign(cry=timeline["score"] >= 0.5)

    return make

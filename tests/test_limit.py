import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.utils.estimator_checks import estimator_checks_generator as sampler_checks
from scipy import sparse
from sklearn.base import clone

from skcry import LimitWindows, Windower, Windows
from skcry.limit import MAX_WINDOWS, equal_shares, select_rows

PER_RECORDING = [200, 60, 30]


@pytest.fixture
def windows():
    """Windows of three recordings of two infants, of which every tenth is crying."""
    X = Windower(1.0, 1.0, sr=10).fit_transform([np.zeros(10 * n) for n in PER_RECORDING], groups=["a", "b", "b"])
    return X, (np.arange(len(X)) % 10 == 0).astype(int)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("max_windows", [None, MAX_WINDOWS, 30])
def test_checks_of_samplers(max_windows):
    checks = list(sampler_checks(LimitWindows(max_windows)))
    assert len(checks) >= 15
    for sampler, check in checks:
        check(sampler)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 300))
def test_shares_are_as_equal_as_sizes_allow(sizes, total):
    shares = equal_shares(sizes, total)
    assert shares.sum() == min(total, sum(sizes))
    assert (shares >= 0).all()
    assert (shares <= sizes).all()
    # A part that gets less than another by two or more gets all that it has.
    assert (shares[shares < shares.max() - 1] == np.array(sizes)[shares < shares.max() - 1]).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(1, 70))
def test_selection_fills_classes(labels, n):
    labels = np.array(labels)
    kept = select_rows(labels, n)
    assert (np.diff(kept) > 0).all()
    classes, sizes = np.unique(labels, return_counts=True)
    assert [np.sum(labels[kept] == one) for one in classes] == equal_shares(sizes, n).tolist()


@pytest.mark.parametrize("n", [1, 2, 7, 99, 100])
def test_rows_of_a_class_are_evenly_spaced(n):
    kept = select_rows(np.zeros(100), n)
    assert np.ptp(np.diff(kept)) <= 1 if n > 1 else kept.tolist() == [50]
    assert abs(kept[0] - (99 - kept[-1])) <= 1


def test_windows_stay_windows(windows):
    X, y = windows
    sampler = LimitWindows(100)
    with pytest.warns(UserWarning, match="max_windows=100"):
        X_kept, y_kept = sampler.fit_resample(X, y)
    assert isinstance(X_kept, Windows)
    assert X_kept._tracks[0] is X._tracks[0]  # no sound is copied
    assert sampler.sampling_strategy_ == {0: 71, 1: 29}  # the rare class keeps all
    counts = dict(zip(*np.unique(X_kept.groups[y_kept == 0], return_counts=True), strict=True))
    assert counts == {"a": 49, "b": 22}  # groups keep their shares
    assert (np.diff(sampler.sample_indices_) > 0).all()
    assert (X_kept.start == X.start[sampler.sample_indices_]).all()
    assert (y_kept == y[sampler.sample_indices_]).all()
    assert sampler.n_features_in_ == 10


@pytest.mark.filterwarnings("ignore:max_windows")
def test_selection_is_the_same_each_time(windows):
    X, y = windows
    first, second = (LimitWindows(50).fit(X, y).sample_indices_ for _ in range(2))
    assert (first == second).all()
    # The bound of what is selected already selects all of it.
    assert LimitWindows(50).fit_resample(X[first], y[first])[1].shape == (50,)


@pytest.mark.parametrize("max_windows", [None, 290, MAX_WINDOWS])
def test_few_windows_are_returned_as_they_are(windows, max_windows):
    X, y = windows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X_kept, y_kept = LimitWindows(max_windows).fit_resample(X, y)
        assert X_kept is X
        assert y_kept is y
        table = pd.DataFrame(np.zeros((len(y), 2)))
        assert LimitWindows(max_windows).fit_resample(table, y)[0] is table


@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist, pd.DataFrame, sparse.csr_array, "polars"])
@pytest.mark.filterwarnings("ignore:max_windows")
def test_tables_keep_their_kind_and_take_rows_evenly(container):
    if container == "polars":
        container = pytest.importorskip("polars").DataFrame
    table, y = np.arange(40.0).reshape(20, 2), ["no", "yes"] * 10
    X = container(table)
    kept, labels = LimitWindows(10).fit_resample(X, y)
    assert type(kept) is type(X)
    kept = kept.toarray() if sparse.issparse(kept) else np.asarray(kept)
    assert labels.count("no") == labels.count("yes") == 5
    assert kept[:, 0].tolist() == [4.0, 6.0, 12.0, 14.0, 20.0, 22.0, 28.0, 30.0, 36.0, 38.0]


def test_message_is_the_same_for_all_folds(windows):
    X, y = windows
    texts = set()
    for rows in (slice(None), slice(50, None), slice(0, 250)):
        with pytest.warns(UserWarning, match="max_windows") as found:
            LimitWindows(100).fit_resample(X[rows], y[rows])
        texts.add(str(found[0].message))
        assert [one.filename for one in found] == [__file__]
    (text,) = texts
    for part in ("max_windows=100", "selection", "equal shares", "probabilities", 'threshold="cv"', "None for all"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_windows": 1}, "'max_windows' parameter"),
        ({"max_windows": 2.5}, "'max_windows' parameter"),
        ({"y": np.zeros(290)}, "more than 1 class"),
        ({"y": np.linspace(0, 1, 290)}, "Unknown label type"),
        ({"y": np.arange(289) % 2}, "inconsistent numbers of samples"),
        ({"y": np.arange(290) % 3, "max_windows": 2}, "at least the number of classes, 3"),
        ({"sample_weight": np.ones(290)}, "max_windows=100 would leave out windows that have a sample_weight"),
        ({"X": np.full((290, 2), np.nan)}, "NaN"),
    ],
)
def test_what_is_refused(windows, change, message):
    given = {"X": windows[0], "y": windows[1], "max_windows": 100, **change}
    sampler = LimitWindows(given.pop("max_windows"))
    with pytest.raises(ValueError, match=message):
        sampler.fit_resample(**given)


def test_no_windows(windows):
    X, y = windows
    with pytest.raises(ValueError, match="0 sample"):
        LimitWindows().fit_resample(X[:0], y[:0])


def test_parameters_are_cloned():
    assert clone(LimitWindows(7)).max_windows == 7
    assert LimitWindows().set_params(max_windows=None).max_windows is None

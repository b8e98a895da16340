"""Speed of skcry compared with the conventional chain, with the same results.

    python -m benchmarks [--quick] [--out FILE.json] [row ...]

Each row runs both chains in turn, in one process on the same sound, and takes the median of their ratios, because
absolute times depend on the machine and its load. The script prints a table. It fails if results differ by more than
the row allows or, without ``--quick``, if a ratio is below the claimed one. ``target`` is the ratio we aim at,
``claim`` the ratio we assert; 0 means no claim.
"""

import argparse
import copy
import datetime
import json
import pickle
import platform
import sys
import tempfile
import time
import tracemalloc
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import joblib
import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

from skcry import (
    AlexNetClassifier,
    CryDetector,
    Denoise,
    FrameCNNClassifier,
    HighPassFilter,
    MelSpectrogram,
    StatFeatures,
    Windower,
    detect_files,
    make_cry_pipeline,
    read_timelines,
)
from skcry.datasets import make_cry_recordings
from skcry.features.short_term import short_term_names
from skcry.features.stats import with_deltas
from skcry.nn.base import multiplies_bfloat16

from . import conventional

SR = conventional.SR
CLASSIC = [family for family in short_term_names(SR) if family != "spectral_contrast"]


@dataclass
class Result:
    """Result of a row: both costs, their ratio, and the largest difference between the results."""

    conventional: float
    ours: float
    ratio: float
    unit: str
    difference: float
    allowed: float


def compare(theirs, ours, difference, allowed, *, repetitions, per=1, unit="s"):
    """Run both in turn, and return the medians; ``difference`` compares their results."""
    times, results = [], [theirs(), ours()]
    for _ in range(repetitions):
        began = time.perf_counter()
        theirs()
        middle = time.perf_counter()
        ours()
        times.append((middle - began, time.perf_counter() - middle))
    costs = [1 / per * median(column) for column in zip(*times, strict=True)]
    return Result(*costs, median(a / b for a, b in times), unit, float(difference(*results)), allowed)


def recording(duration):
    return make_cry_recordings(1, duration=duration, random_state=0)[0][0]


def largest(a, b):
    return np.abs(np.asarray(a, dtype=np.float64) - b).max()


def relative(a, b):
    """Return the largest difference in a column, as a share of its largest value."""
    return (np.abs(a - b).max(axis=0) / np.abs(a).max(axis=0)).max()


def fitted_net(n_windows=128):
    """Return AlexNet at full width after two epochs, its images and labels."""
    recordings, annotations, _ = make_cry_recordings(4, duration=n_windows / 4 + 4, random_state=1)
    X = Windower().fit_transform(recordings)
    images = np.asarray(MelSpectrogram().fit_transform(HighPassFilter().fit_transform(X)))
    net = AlexNetClassifier(max_epochs=2, early_stopping=False, random_state=0)
    return net.fit(images, X.label(annotations)), images, X.label(annotations)


def plain_module(net):
    """Return a copy of the network in torch's default memory layout."""
    return copy.deepcopy(net.net_.module_).to(memory_format=torch.contiguous_format)


# Rows


def features(quick):
    y = recording(60 if quick else 600).astype(np.float64)
    y -= y.mean()
    y /= np.abs(y).max()  # as pyAudioAnalysis does
    X = Windower(last="drop").fit_transform([y.astype(np.float32)])
    stats = StatFeatures(CLASSIC, ("mean", "std")).fit(X)

    def theirs():
        frames = conventional.short_term(2**15 * y)
        return frames, conventional.mid_term(frames)

    def difference(found, ours):
        # skcry computes each window separately, so the flux of its first frame is 0.
        length, flux = X.n_timepoints // 400 - 1, stats.features_.index("spectral_flux")
        expected = []
        for start in X.start // 400:
            values = found[0][:34, start : start + length].copy()
            values[flux, 0] = 0
            values = with_deltas(values)
            expected.append(np.stack([values.mean(axis=1), values.std(axis=1)], axis=1).ravel())
        return relative(np.array(expected), ours)

    return compare(theirs, lambda: stats.transform(X), difference, 1e-4, repetitions=1 if quick else 3)


def denoise(quick):
    y = recording(60 if quick else 600)
    gate = Denoise().fit(y[np.newaxis])
    return compare(
        lambda: conventional.denoise(y),
        lambda: gate.transform(y[np.newaxis])[0],
        largest,
        1e-4,
        repetitions=1 if quick else 5,
    )


def mel(quick):
    clips = conventional.windows_of(recording(24 if quick else 68))
    spectrogram = MelSpectrogram().fit(clips)
    return compare(lambda: conventional.mel(clips), lambda: spectrogram.transform(clips), largest, 1e-3, repetitions=9)


def network(quick, precision="float32", allowed=1e-3):
    net = fitted_net(8 if quick else 128)[0].set_params(precision=precision)
    y = HighPassFilter().fit_transform(recording(20 if quick else 196)[np.newaxis])[0]
    images = conventional.mel(conventional.windows_of(y))
    module = plain_module(net)
    return compare(
        lambda: conventional.predict(module, images, net.mean_, net.scale_),
        lambda: net.predict_proba(images)[:, 1],
        largest,
        allowed,
        repetitions=1 if quick else 7,
        per=len(images) / 1000,
        unit="ms per window",
    )


def overlapping(quick):
    """Windows of 5 s, one per second, whose spectrogram has a fixed reference: the network shares convolutions."""
    recordings, annotations, _ = make_cry_recordings(4, duration=6 if quick else 36, random_state=1)
    absolute = MelSpectrogram(ref=1.0, top_db=None)
    X = Windower().fit_transform(recordings)
    net = AlexNetClassifier(max_epochs=2, early_stopping=False, random_state=0)
    net.fit(absolute.fit_transform(X), X.label(annotations))
    X = absolute.transform(Windower(last="drop").fit_transform([recording(20 if quick else 196)]))
    images, module = np.asarray(X), plain_module(net)
    return compare(
        lambda: conventional.predict(module, images, net.mean_, net.scale_),
        lambda: net.predict_proba(X)[:, 1],
        largest,
        1e-3,
        repetitions=1 if quick else 7,
        per=len(images) / 1000,
        unit="ms per window",
    )


def network_bfloat16(quick):
    return network(quick, "bfloat16", 0.02)


def frames(quick):
    recordings, annotations, _ = make_cry_recordings(2, duration=30, random_state=1)
    X = Windower().fit_transform(recordings)
    band = {"n_mels": 64, "fmin": 200.0, "fmax": 4000.0, "top_db": 50.0}
    images = np.asarray(MelSpectrogram(**band).fit_transform(X))
    y = X.label(annotations, target_duration=1.0)
    net = FrameCNNClassifier(max_epochs=1, min_steps=4, random_state=0).fit(images, y)
    module = plain_module(net)
    images = np.concatenate([images] * (1 if quick else 8))

    def theirs():
        module.eval()
        with torch.no_grad():
            batches = torch.as_tensor((images - net.mean_) / net.scale_)[:, None].split(64)
            logits = torch.cat([module.classify(module.embed(batch)) for batch in batches])
        return torch.softmax(logits, dim=1)[:, 1].numpy()

    return compare(
        theirs,
        lambda: net.predict_proba(images)[:, 1],
        largest,
        1e-3,
        repetitions=1 if quick else 7,
        per=len(images) / 1000,
        unit="ms per window",
    )


def end_to_end(quick):
    y = recording(20 if quick else 600)
    net = fitted_net(8 if quick else 128)[0]
    module = plain_module(net)

    def ours():
        X = Windower(last="drop").fit_transform([y])
        X = Denoise().fit_transform(HighPassFilter().fit_transform(X))
        features = StatFeatures(CLASSIC, ("mean", "std")).fit_transform(X)
        return net.predict_proba(MelSpectrogram().fit_transform(X))[:, 1], features

    return compare(
        lambda: conventional.chain(y, module, net.mean_, net.scale_),
        ours,
        lambda a, b: largest(a[0], b[0]),
        1e-3,
        repetitions=1 if quick else 2,
    )


def default(quick):
    """Compare the speed with the conventional chain, and the scores with those of the detector's parts."""
    y = recording(20 if quick else 600)
    net = fitted_net(8 if quick else 128)[0]
    module = plain_module(net)
    recordings, annotations, infants = make_cry_recordings(4, duration=30, random_state=1)
    detector = CryDetector(threshold=0.5, smooth_duration=1, random_state=0)
    detector.fit(recordings, annotations, groups=infants)

    def plain():
        steps = detector.estimator_.named_steps
        embeddings = steps["features"].transform(conventional.windows_of(y))  # each window on its own
        scores = steps["classify"].decision_function(steps["scale"].transform(embeddings))
        return 1 / (1 + np.exp(-np.r_[scores[[0, 0]], scores, scores[[-1, -1]]]))

    expected = plain()
    return compare(
        lambda: conventional.chain(y, module, net.mean_, net.scale_),
        lambda: detector.timeline([y])["score"].to_numpy(),
        lambda _, ours: largest(expected, ours),
        1e-3,
        repetitions=1 if quick else 2,
    )


def training(quick):
    net, images, y = fitted_net(8 if quick else 128)
    module = plain_module(net)
    optimizer = torch.optim.AdamW(module.parameters())
    labels = torch.as_tensor(y)
    return compare(
        lambda: conventional.train(module, optimizer, images, labels, 2),
        lambda: AlexNetClassifier(max_epochs=2, early_stopping=False, random_state=0).fit(images, y),
        lambda *_: 0.0,  # not comparable: the order of the batches differs
        0.0,
        repetitions=1 if quick else 3,
        per=2 * len(images) / 1000,
        unit="ms per window",
    )


def search(quick):
    """Ten settings of the SVC, five splits by infant: a fit of the network for each setting, or a cache of steps."""
    n_settings = 2 if quick else 10
    recordings, annotations, infants = make_cry_recordings(10, duration=20, random_state=0)
    X = Windower().fit_transform(recordings, groups=infants)
    y, splits = X.label(annotations, target_duration=1.0), GroupKFold(2 if quick else 5)
    small = {"features__frames__net__min_steps": 20, "features__frames__net__max_epochs": 1} if quick else {}
    settings = np.logspace(-5, -2, n_settings)
    pipeline = make_cry_pipeline(features="frames", random_state=0).set_params(**small)

    def one(C):
        return cross_val_score(
            clone(pipeline).set_params(classify__C=C),
            X,
            y,
            cv=splits,
            groups=X.groups,
            scoring="average_precision",
            error_score="raise",
        ).mean()

    with tempfile.TemporaryDirectory() as folder:
        cached = clone(pipeline).set_params(memory=folder)
        grid = GridSearchCV(cached, {"classify__C": settings}, cv=splits, scoring="average_precision", refit=False)
        began = time.perf_counter()
        grid.fit(X, y, groups=X.groups)
        ours = time.perf_counter() - began
    began = time.perf_counter()
    alone = one(settings[0])
    theirs = n_settings * (time.perf_counter() - began)
    return Result(theirs, ours, theirs / ours, "s", abs(alone - grid.cv_results_["mean_test_score"][0]), 1e-9)


def jobs(quick):
    """One file at a time, and two at a time; one thread per worker."""
    import soundfile

    recordings, annotations, infants = make_cry_recordings(4, duration=30, random_state=0)
    detector = CryDetector(threshold=0.5, random_state=0).fit(recordings, annotations, groups=infants)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(4):
            sound = recording(20 if quick else 600)
            soundfile.write(Path(folder, f"{number}.wav"), np.tile(sound, 1 if quick else 3), SR)

        def run(n_jobs):
            out = Path(folder, f"out{n_jobs}")
            with joblib.parallel_config("loky", inner_max_num_threads=1):
                detect_files(detector, sorted(Path(folder).glob("*.wav")), out, n_jobs=n_jobs, overwrite=True)
            return read_timelines(out)["score"].to_numpy()

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return compare(lambda: run(1), lambda: run(2), largest, 1e-5, repetitions=1 if quick else 3)
        finally:
            torch.set_num_threads(threads)


def pickled(quick, weight_dtype="float32", allowed=0.0):
    net, images, y = fitted_net(8)
    expected = net.predict_proba(images)
    net = net.set_params(weight_dtype=weight_dtype).fit(images, y)
    module = plain_module(net)
    optimizer = torch.optim.AdamW(module.parameters())
    conventional.train(module, optimizer, images, torch.as_tensor(y), 1)
    theirs = len(pickle.dumps((module, optimizer.state_dict())))
    data = pickle.dumps(net)
    difference = largest(expected, pickle.loads(data).predict_proba(images))
    return Result(theirs / 1e6, len(data) / 1e6, theirs / len(data), "MB", float(difference), allowed)


def pickled_half(quick):
    return pickled(quick, "float16", 0.005)


def memory(quick):
    """Spectrograms of two hours: all at once, by the sizes of the arrays; by ``stream``, as measured."""
    import soundfile

    from skcry.detector.blocks import stream

    seconds = 60 if quick else 7200
    windower = Windower(last="drop").fit([np.zeros(SR)])
    spectrogram = MelSpectrogram().fit(np.zeros((1, 5 * SR)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "day.wav")
        minute = recording(60)
        with soundfile.SoundFile(path, "w", SR, 1, "PCM_16") as file:
            for _ in range(seconds // 60):
                file.write(minute)
        tracemalloc.start()
        for block in stream(windower, [path]):
            images = spectrogram.transform(block.windows)
            for start in range(0, len(images), 64):
                np.asarray(images[start : start + 64])
        ours = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    theirs = (4 * SR * seconds + 4 * 225 * 198 * (seconds - 4)) / 2**20
    return Result(theirs, ours, theirs / ours, "MiB", 0.0, 0.0)


BFLOAT16 = multiplies_bfloat16(torch.device("cpu"))

# name: title, function, target ratio, claimed ratio
ROWS = {
    "features": ("34 short-term features, deltas, mid-term statistics, 600 s", features, 20, 15),
    "denoise": ("noise reduction, 600 s", denoise, 2.5, 2),
    "mel": ("mel spectrograms of 64 clips of 5 s", mel, 3, 3),
    "network": ("AlexNet, full width", network, 6, 1.2),
    "overlapping": ("AlexNet, full width, a window of overlapping ones", overlapping, 4, 2.5),
    "network_bfloat16": ("AlexNet, full width, in bfloat16", network_bfloat16, 6, 3 if BFLOAT16 else 0),
    "frames": ("FrameCNN", frames, 1, 1.2),
    "end_to_end": ("recording to probabilities and features of AlexNet, with denoising, 600 s", end_to_end, 10, 2.5),
    "default": ("recording to seconds, default detector, 600 s", default, 10, 10),
    "training": ("training step of AlexNet, full width", training, 2, 1.4 if BFLOAT16 else 0),
    "search": ("grid of 10 SVC settings x 5 splits", search, 7.7, 7),
    "jobs": ("four files of 30 min, two at a time", jobs, 1.8, 1.2),
    "pickle": ("pickle of AlexNet, full width", pickled, 2.9, 2.9),
    "pickle_half": ("pickle of AlexNet, full width, half precision", pickled_half, 5.8, 5.5),
    "memory": ("peak memory, spectrograms of two hours", memory, 3, 3),
}


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=f"any of {', '.join(ROWS)}; all of them by default")
    parser.add_argument("--quick", action="store_true", help="short sound, run once: compares results, not times")
    parser.add_argument("--threads", type=int, default=min(2, torch.get_num_threads()), help="of torch (at most 2)")
    parser.add_argument("--out", metavar="FILE.json", type=Path, help="write results, machine and date")
    options = parser.parse_args(argv)
    unknown = set(options.rows) - set(ROWS)
    if unknown:
        parser.error(f"unknown rows {sorted(unknown)}; choose from {', '.join(ROWS)}")
    torch.set_num_threads(options.threads)
    print("| row | conventional | ours | unit | ratio | target | claim | difference | allowed |")
    print("|---|---|---|---|---|---|---|---|---|")
    measured, missed = {}, []
    for name in options.rows or ROWS:
        title, function, target, claim = ROWS[name]
        result = function(options.quick)
        measured[name] = {"title": title, "target": target, "claim": claim, **asdict(result)}
        print(
            f"| {title} | {result.conventional:.3g} | {result.ours:.3g} | {result.unit} | {result.ratio:.1f} "
            f"| {target} | {claim} | {result.difference:.1e} | {result.allowed:.0e} |",
            flush=True,
        )
        if not result.difference <= result.allowed:
            missed.append(f"{name}: results differ by {result.difference:.1e}, more than {result.allowed:.0e}")
        if not options.quick and result.ratio < claim:
            missed.append(f"{name}: {result.ratio:.2f} times as fast or small, less than the claimed {claim}")
    if options.out:
        about = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {platform.system()}, {torch.get_num_threads()} threads of torch",
            "python": platform.python_version(),
            "versions": {
                package: version(package)
                for package in ("skcry", "numpy", "scipy", "librosa", "noisereduce", "scikit-learn", "torch")
            },
            "quick": options.quick,
        }
        options.out.write_text(json.dumps({**about, "rows": measured}, indent=2) + "\n")
    for line in missed:
        print(line, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

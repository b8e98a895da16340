"""
Coming from the published scripts
=================================

This page is for users of the scripts of Yao et al. (ICASSP 2022) or of their port to PyTorch. The tables list the
equivalents of functions, files and parameters. The code loads published weights, sets the published geometry, and reads
and writes the published files.

The scripts are ``AgnesMayYao/Infant-Crying-Detection`` (``preprocessing.py``, ``predict.py``; Keras) and
``EDB-Accelerator/Infant-Crying-Detection`` (``src/``, the port of K. Lee and colleagues, whose names of layers skcry
uses).
"""

# %%
# Functions
# ---------
# .. list-table::
#    :header-rows: 1
#    :widths: 42 58
#
#    * - scripts
#      - skcry
#    * - ``preprocessing.py``, ``preprocessing(inFile, outFile)``
#      - ``EnergyGate(level="absolute")``: ``detect`` gives the stretches to keep; ``CryDetector(gate=...)`` uses it as
#        first stage. The default ``level="recording"`` does not depend on the gain
#    * - ``signal.butter(10, 350, "hp")``, ``sosfilt``
#      - ``HighPassFilter(cutoff=350, order=10)``
#    * - ``librosa.load(file)``
#      - not needed: ``Windower`` and ``CryDetector`` accept paths. 16000 Hz unless ``Windower(sr=22050)``
#    * - the loop over ``windows`` of five seconds, one each second
#      - ``Windower(window_duration=5, hop_duration=1)``
#    * - ``label_to_num``
#      - ``positive=("cry", "fuss")``, and ``negative=(...)`` if other labels must be an error
#    * - ``melspectrogram``, ``power_to_db(ref=np.max)``
#      - ``MelSpectrogram``, relative to the maximum of each window rather than of the file
#    * - ``ShortTermFeatures.feature_extraction`` and mean, median, standard deviation
#      - ``StatFeatures()``; with ``frame_duration=1.0, hop_duration=0.5`` for the published frames
#    * - ``time_masking``
#      - ``AlexNetClassifier(time_mask=..., freq_mask=...)``, in training only
#    * - ``CustomPyTorchModel``
#      - :class:`skcry.AlexNet`, with the same names of layers
#    * - ``train_alex(params, ...)``
#      - ``AlexNetClassifier(width=1.0)``
#    * - ``train_svm(..., Cvalue, imbalance)``
#      - ``make_cry_pipeline(SVC(C=Cvalue), features=("embedding", "stats"), resample="smote")``; ``imbalance`` is
#        ``resample``: ``"smote"``, ``"under"`` or ``"weight"``
#    * - ``predict_alex_svm(...)``
#      - ``detector.timeline(files)``, ``detector.detect(files)``
#    * - a second is positive if any window that contains it is
#      - the score of a second is that of the window around it; ``target_duration=None`` takes the mean over its windows
#    * - ``best_threshold``
#      - ``CryDetector(threshold=...)``; learned by default
#    * - ``combineIntoEvent(data, 5)``, ``whatIsAnEvent(data, 5)``
#      - ``merge_gap=5, min_duration=5`` of ``CryDetector``, and :func:`skcry.events.find_events`
#    * - ``classification_report`` and the like
#      - :mod:`skcry.metrics`: per second, per event, cry minutes per hour
#
# Files
# -----
# .. list-table::
#    :header-rows: 1
#    :widths: 42 58
#
#    * - scripts
#      - skcry
#    * - annotations, ``start,end,label`` in seconds, no header
#      - ``read_annotations(path)``
#    * - ``preprocessed.csv``, ``start,end``
#      - ``read_annotations(path)``; the label of each line is "cry"
#    * - ELAN's tab-delimited export
#      - ``read_annotations(path, tier="...")``, with or without column headers
#    * - predictions, one 0 or 1 a line
#      - ``read_annotations(path, format="seconds")``, ``write_annotations(..., format="seconds")``
#    * - weights of the port (``torch.save(model.state_dict())``)
#      - ``AlexNet(225, 225).load_state_dict(...)``, below
#    * - ``deep_spectrum.h5`` (Keras), ``svm.joblib`` (scikit-learn 0.23)
#      - not supported: train a new model. The pickle of an SVC depends on its library version and its features
#
# Parameters
# ----------
# .. list-table::
#    :header-rows: 1
#    :widths: 42 58
#
#    * - scripts
#      - skcry
#    * - 22050 Hz, the default of ``librosa.load``
#      - ``Windower(sr=22050)``
#    * - ``n_fft = 980``, ``hop_length = 490``, ``n_mels = 225``
#      - the same names in ``MelSpectrogram``
#    * - ``img_rows, img_cols = 225, 225``
#      - not needed: ``fit`` builds the network for the shape of its input. Frames lie inside their window, so five
#        seconds have 224 of them, not 225; the layers have the same sizes
#    * - ``batch_size``, ``num_classes``, ``l2regular``, 50 epochs, ``patience = 5``
#      - ``batch_size``, ``weight_decay``, ``max_epochs``, ``patience`` of the classifier; classes are taken from ``y``
#
# Intended differences
# --------------------
# Dropout is active only in training. Batch norm is not updated on validation data. Early stopping restores a copy of
# the best weights. The SVC is trained on the scaled embedding of 1000 values of all windows; the port trains it on two
# probabilities, of the first tenth of each recording. SMOTE is applied to features, not to images. All windows of an
# infant are on one side of a split. The reference of the spectrogram is the maximum of the window, so one loud moment
# does not change a whole day. Scores therefore differ from published ones. Published weights were trained with the
# maximum of the file as reference, so their input is slightly different here.

# %%
# Published weights
# -----------------
# This code makes a file like that of ``train_alex`` in the port, with random weights. Names and sizes are those of the
# published network.

import tempfile
from pathlib import Path

import torch

from skcry import AlexNet

folder = tempfile.TemporaryDirectory()
weights = Path(folder.name) / "alex_trained.h5"  # written by torch; the published name has this extension


def random_weights(n_classes=2):
    sizes = {"conv1": (96, 1, 11, 11), "conv2": (256, 96, 5, 5), "conv3": (384, 256, 3, 3), "conv4": (384, 384, 3, 3)}
    sizes |= {"conv5": (256, 384, 3, 3), "fc1": (4096, 256), "fc2": (4096, 4096), "fc3": (1000, 4096)}
    sizes |= {"fc_final": (n_classes, 1000)}
    state = {}
    for name, size in sizes.items():
        state[f"{name}.weight"] = torch.randn(size) / torch.tensor(size[1:]).prod() ** 0.5
        state[f"{name}.bias"] = torch.zeros(size[0])
        if name != "fc_final":
            norm = name.replace("conv", "bn") if name.startswith("conv") else name.replace("fc", "fc_bn")
            state[f"{norm}.weight"], state[f"{norm}.bias"] = torch.ones(size[0]), torch.zeros(size[0])
            state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = torch.zeros(size[0]), torch.ones(size[0])
            state[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    return state


torch.manual_seed(0)
torch.save(random_weights(), weights)

# %%
# ``load_state_dict`` checks all names and sizes. ``weights_only=True`` prevents the file from running code.

net = AlexNet(n_mels=225, n_frames=224)
print(net.load_state_dict(torch.load(weights, weights_only=True)))
print(f"{sum(weight.numel() for weight in net.parameters()) / 1e6:.2f} million parameters")

# %%
# Published network in a pipeline
# -------------------------------
# A transformer with the published network replaces the network that the pipeline would train. The published images are
# scaled from 0 (80 dB below the maximum) to 1 (the maximum).

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches


class PublishedEmbedding(TransformerMixin, BaseEstimator):
    """Turn spectrograms into embeddings of a network with given weights."""

    def __init__(self, weights):
        self.weights = weights

    def fit(self, X, y=None):
        self.net_ = AlexNet(*X.shape[1:]).eval()
        self.net_.load_state_dict(torch.load(self.weights, weights_only=True))
        return self

    def transform(self, X):
        parts = []
        with torch.inference_mode():
            for rows in gen_batches(len(X), 64):
                images = torch.as_tensor(np.asarray(X[rows], dtype=np.float32) / 80 + 1)
                parts.append(self.net_.embed(images[:, None]).numpy())
        return np.concatenate(parts)


# %%
# The published geometry, and statistics in frames of one second, as in the scripts. The SVC is trained here. It is
# linear and strongly regularised, because the embedding has a thousand values.

from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import SVC

from skcry import CryDetector, MelSpectrogram, StatFeatures, Windower, make_cry_pipeline
from skcry.datasets import make_cry_recordings

published = FeatureUnion(
    [
        ("image", make_pipeline(MelSpectrogram(n_fft=980, hop_length=490, n_mels=225), PublishedEmbedding(weights))),
        ("stats", StatFeatures(frame_duration=1.0, hop_duration=0.5)),
    ]
)
svc = SVC(kernel="linear", C=3e-4)
pipeline = make_cry_pipeline(svc, features="stats", random_state=0)
pipeline.set_params(highpass="passthrough", features=published)
detector = CryDetector(pipeline, windower=Windower(5, 1, sr=22050), threshold=0.5, random_state=0)

recordings, annotations, infants = make_cry_recordings(7, duration=30, sr=22050, random_state=0)
detector.fit(recordings[:6], annotations[:6], groups=infants[:6])
timeline = detector.timeline(recordings[6:])
print(timeline.head(3))

# %%
# Published files
# ---------------
# Reading and writing one value per second.

from skcry.io import read_annotations, write_annotations

predictions = Path(folder.name) / "predictions.csv"
predictions.write_text("\n".join("0000011111110000111111110000"))
print(read_annotations(predictions, format="seconds"))

ours = Path(folder.name) / "ours.csv"
write_annotations(detector.detect(recordings[6:])[["onset", "offset"]], ours, format="seconds", duration=30)
print(ours.read_text().split())

annotated = Path(folder.name) / "P34_2.csv"
annotated.write_text("0,10,notcry\n10,15,cry\n15,40,notcry\n")
print(read_annotations(annotated))

# %%
# An image in the published geometry, and the score of each second. The scores come from random weights and the
# statistics: the figure shows that the parts work together, and nothing about accuracy.

import matplotlib.pyplot as plt

windows = detector.windower_.transform(recordings[6:])
images = MelSpectrogram(n_fft=980, hop_length=490, n_mels=225).fit_transform(windows)
print(f"{images.shape[1]} bands, {images.shape[2]} frames")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", width_ratios=(1, 2))
left.imshow(images[10], origin="lower", cmap="magma", aspect="auto", extent=(10, 15, 0, 225))
left.set(xlabel="time (s)", ylabel="mel band", title="one window")
right.step(np.arange(len(timeline)), timeline["score"], where="post", color="black")
for row in annotations[6].itertuples():
    right.axvspan(row.onset, row.offset, color="#0072B2", alpha=0.3, lw=0, label="annotated")
right.set(xlabel="time (s)", ylabel="score", ylim=(0, 1), xlim=(0, 30), title="a recording left out")
right.legend(frameon=False)
plt.show()

# %%

folder.cleanup()

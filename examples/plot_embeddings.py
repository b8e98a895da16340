"""
Embeddings of the network
=========================

Does the network separate crying from other sound for new infants? Its last layer gives the embedding of each window, a
few numbers that are the input of the classifier. This example trains a small network on some infants and plots the
embeddings of others.
"""

# %%
# A network trained on some infants
# ---------------------------------
# Six infants for training and four others. The network has a quarter of the default width, and is trained for a few
# steps.

import numpy as np
from sklearn.pipeline import make_pipeline

from skcry import FrameCNNClassifier, MelSpectrogram, Windower
from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(20, duration=45, random_state=0)
X = Windower().fit_transform(recordings, groups=infants)
y = X.label(annotations, target_duration=1)
train = X.groups < 6

mel = MelSpectrogram(n_mels=64, fmin=200, fmax=4000, top_db=50)
net = FrameCNNClassifier(width=0.25, max_epochs=1, min_steps=100, random_state=0)
pipeline = make_pipeline(mel, net).fit(X[train], y[train])
print(f"{train.sum()} windows of 6 infants for training, {(~train).sum()} of 4 others")

# %%
# Embeddings
# ----------
# ``transform`` gives the embeddings, here 16 numbers for the middle second of each window.

embeddings = pipeline.transform(X[~train])
print(f"embeddings: {embeddings.shape}")

# %%
# A map
# -----
# The first two principal components of the embeddings, for windows of infants that are not in the training data:
# coloured by class, and by infant. Plot left-out windows: in the embeddings of training windows, classes are separated
# too well.

import matplotlib.pyplot as plt

from skcry.plotting import EmbeddingDisplay

figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
classes = np.where(y[~train] == 1, "crying", "other")
names = np.array([f"infant {number}" for number in X.groups[~train]])
EmbeddingDisplay.from_embeddings(embeddings, classes, ax=axes[0])
EmbeddingDisplay.from_embeddings(embeddings, names, ax=axes[1])
axes[0].set_title("By class")
axes[1].set_title("By infant")
plt.show()

# %%
# Nearest neighbours across infants
# ---------------------------------
# If the embeddings represent crying rather than homes, windows of one class are near each other for all infants. So for
# each window, take the nearest window of *another* infant: how often is it of the same class, and how often by chance?

from sklearn.neighbors import NearestNeighbors

label, infant_of = y[~train], X.groups[~train]
same = np.empty(len(label), dtype=bool)
for infant in np.unique(infant_of):
    rows, others = infant_of == infant, np.flatnonzero(infant_of != infant)
    nearest = NearestNeighbors(n_neighbors=1).fit(embeddings[others]).kneighbors(embeddings[rows])[1][:, 0]
    same[rows] = label[others[nearest]] == label[rows]
for name, rows in (("crying", label == 1), ("other", label == 0)):
    print(
        f"{name:6}: the nearest window of another infant has the same class in {same[rows].mean():.0%} of {rows.sum()}"
    )
print("by infant: " + ", ".join(f"{infant}: {same[infant_of == infant].mean():.0%}" for infant in np.unique(infant_of)))
print(f"by chance: crying {label.mean():.0%}, other {1 - label.mean():.0%}")

# %%
# Crying is on one side, and the infants overlap: the embeddings represent crying more than homes. The windows in
# between are those that the network confuses; listen to some of them. This holds for these synthetic infants and a
# network that was trained for seconds.

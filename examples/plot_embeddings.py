"""
What the network hears
======================

What has the network learned to tell apart, on infants that it never heard? Its last layer describes each window by a
few numbers, the embedding, which the classifier after it sees. This example trains a small network on some infants,
maps the windows of others, and asks which infants it mistakes.
"""

# %%
# A network trained on some infants
# ---------------------------------
# Six infants to learn from and four others. The network is a quarter as wide as the default, and trained for a moment.

import numpy as np
from sklearn.pipeline import make_pipeline

from skcry import FrameCNNClassifier, MelSpectrogram, Windower
from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(20, duration=45, random_state=0)
X = Windower().fit_transform(recordings, groups=infants)
y = X.label(annotations, target_duration=1)
known = X.groups < 6

mel = MelSpectrogram(n_mels=64, fmin=200, fmax=4000, top_db=50)
net = FrameCNNClassifier(width=0.25, max_epochs=1, min_steps=100, random_state=0)
hearing = make_pipeline(mel, net).fit(X[known], y[known])
print(f"{known.sum()} windows of 6 infants to learn from, {(~known).sum()} of 4 others")

# %%
# Embeddings
# ----------
# ``transform`` gives the embeddings, here 16 numbers for the middle second of each window.

embeddings = hearing.transform(X[~known])
print(f"embeddings: {embeddings.shape}")

# %%
# A map
# -----
# Principal components of these numbers, two of them, for windows of infants whom the network never heard: by what they
# hold, and by whose they are. Draw windows left out: those of the training look better than they are.

import matplotlib.pyplot as plt

from skcry.plotting import EmbeddingDisplay

figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
kinds = np.where(y[~known] == 1, "crying", "other")
owners = np.array([f"infant {number}" for number in X.groups[~known]])
EmbeddingDisplay.from_embeddings(embeddings, kinds, ax=axes[0])
EmbeddingDisplay.from_embeddings(embeddings, owners, ax=axes[1])
axes[0].set_title("What the windows hold")
axes[1].set_title("Whose they are")
plt.show()

# %%
# What the map says in a number
# -----------------------------
# A network that hears crying rather than homes has windows of one kind for neighbours, whoever the infant is. Of each
# window, the nearest one of *another* infant: how often is it of the same kind, how often by chance?

from sklearn.neighbors import NearestNeighbors

kind, whose = y[~known], X.groups[~known]
same = np.empty(len(kind), dtype=bool)
for infant in np.unique(whose):
    others = np.flatnonzero(whose != infant)
    nearest = NearestNeighbors(n_neighbors=1).fit(embeddings[others]).kneighbors(embeddings[whose == infant])[1][:, 0]
    same[whose == infant] = kind[others[nearest]] == kind[whose == infant]
for name, rows in (("crying", kind == 1), ("other", kind == 0)):
    print(
        f"{name:6}: the nearest window of another infant is of the same kind in {same[rows].mean():.0%} of {rows.sum()}"
    )
print("by infant: " + ", ".join(f"{infant}: {same[whose == infant].mean():.0%}" for infant in np.unique(whose)))
print(f"by chance: crying {kind.mean():.0%}, other {1 - kind.mean():.0%}")

# %%
# Crying lies to one side, and the infants lie on top of each other: what the network has learned is about crying more
# than about homes. In between lie the windows that it confuses; listen to some of them. All of that holds for these
# synthetic infants and a network trained for seconds.

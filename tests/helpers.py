"""What tests share: a quick detector, files, and a wav2vec 2.0 model that needs no download."""

import numpy as np
import pandas as pd
import soundfile
from hypothesis import HealthCheck, settings
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry import CryDetector, HighPassFilter, StatFeatures
from skcry.io import write_annotations
from skcry.nn.wav2vec2 import import_transformers, quiet

# The same examples each time, and few of them: what they find once is to be found in every run, and soon.
checked = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def fast(classifier=None, first=None):
    features = StatFeatures(["mfcc", "spectral_centroid"], ["mean", "std"], deltas=False)
    first = [HighPassFilter()] if first is None else first
    return make_pipeline(*first, features, StandardScaler(), classifier or LogisticRegression())


def covered(annotations, onset, duration):
    """Seconds that are annotated in each span; recordings by onsets."""
    return np.array(
        [
            sum(np.maximum(0, np.minimum(b, onset + duration) - np.maximum(a, onset)) for a, b in spans)
            + np.zeros(len(onset))
            for spans in (table[["onset", "offset"]].to_numpy() for table in annotations)
        ]
    )


def make_quick_detector(**parameters):
    """Make a detector on a few statistics, whose ``fit`` takes a fraction of a second."""
    pipeline = make_pipeline(StatFeatures("mfcc", deltas=False), StandardScaler(), LogisticRegression())
    return CryDetector(pipeline, **{"threshold": 0.5, "random_state": 0, **parameters})


def make_timeline(scores, usable=None, first=0):
    """Make a timeline of recordings (name -> score of each second from ``first``), decided at 0.5."""
    tables = {}
    for name, score in scores.items():
        index = pd.RangeIndex(first, first + len(score))
        tables[name] = pd.DataFrame({"score": np.asarray(score, dtype=float)}, index)
        tables[name]["cry"] = tables[name]["score"] >= 0.5
        if usable is not None:
            tables[name]["usable"] = np.asarray(usable[name], dtype=bool)
    return pd.concat(tables, names=["recording", "second"])


def write_annotated(folder, recordings, annotations):
    """Write recordings and their annotations to a folder: day0.wav, day0.csv, ..."""
    for number, (y, table) in enumerate(zip(recordings, annotations, strict=True)):
        soundfile.write(folder / f"day{number}.wav", y, 16000)
        write_annotations(table, folder / f"day{number}.csv")


def save_toy_model(folder, model_type="wav2vec2", *, sr=16000, do_normalize=True, random_state=0, **config):
    """Save a tiny wav2vec2, hubert or wavlm model with random weights; return its folder.

    The model has two transformer layers of eight units and, like the large ones, a frame every 320 timepoints. ``sr``
    and ``do_normalize`` are what it expects of its input; ``config`` overrides settings of transformers' configuration.
    """
    import torch

    transformers = import_transformers()
    tiny = {
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "conv_dim": (8, 8),
        "conv_kernel": (32, 16),
        "conv_stride": (20, 16),
        "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
    }
    with quiet(transformers.utils.logging), torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(model_type, **tiny | config))
        model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=sr, do_normalize=do_normalize).save_pretrained(folder)
    return folder

"""A detector and a wav2vec 2.0 model that are small enough for tests, and need no download."""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry import CryDetector, StatFeatures
from skcry.nn.wav2vec2 import import_transformers, quiet


def make_quick_detector(**parameters):
    """Make a detector on a few statistics, whose ``fit`` takes a fraction of a second."""
    pipeline = make_pipeline(StatFeatures("mfcc", deltas=False), StandardScaler(), LogisticRegression())
    return CryDetector(pipeline, **{"threshold": 0.5, "random_state": 0, **parameters})


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

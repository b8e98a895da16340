"""A tiny model, to try out and to test what works with large pretrained ones, without a download."""

from skcry.nn.wav2vec2 import import_transformers, quiet


def save_toy_model(folder, model_type="wav2vec2", *, sr=16000, do_normalize=True, random_state=0, **config):
    """Save a tiny model with random weights, as a folder that :class:`skcry.Wav2Vec2Embedding` takes.

    Parameters
    ----------
    folder : str or path-like
        Where to, made if need be.
    model_type : {"wav2vec2", "hubert", "wavlm"}, default="wav2vec2"
        Kind of model.
    sr : int, default=16000
        Sampling rate in Hz that the model claims to be trained at.
    do_normalize : bool, default=True
        Whether it claims to want each window with zero mean and unit variance.
    random_state : int, default=0
        Seed of the weights.
    **config : object
        Settings of transformers' configuration: by default two transformer layers of eight units, and frames every 320
        timepoints, as in the large models.

    Returns
    -------
    str or path-like
        ``folder``.

    Raises
    ------
    ImportError
        If transformers is not installed.
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

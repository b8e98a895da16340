"""What ships with skcry and is no code: the weights of its network, and a plane that tells speech."""

import functools
import hashlib
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch

FOLDER = Path(__file__).parent
WEIGHTS = "cry_cnn.safetensors"
SHA256 = "c6036cd2b8acc3b5366bac705d64a6940ae8d8d87fb6fbdbd4da14f345e7dc82"  # of this file; `write_weights` tells it

SPEECH = "speech.safetensors"
WINDOW = 48000  # timepoints at 16 kHz of the windows whose embeddings the plane divides, 3 s


def write_weights(module, folder=FOLDER):
    """Write the weights of a :class:`skcry.CryCNN` to a folder, and return the checksum for ``SHA256``, a str.

    The weights of layers, most of a network, are rounded to float16; biases and batch norms stay as they are.
    """
    weights = {name: value.half() if value.ndim > 1 else value for name, value in module.state_dict().items()}
    content = safetensors.torch.save({name: value.cpu().contiguous() for name, value in weights.items()})
    (Path(folder) / WEIGHTS).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


@functools.cache
def read_weights():
    """Return the weights as tensors by name, in float32. They are read once and must not be changed.

    Raises
    ------
    OSError
        If the file is missing or is not the one that belongs to this version.
    """
    path = FOLDER / WEIGHTS
    remedy = "Install skcry again: pip install --force-reinstall --no-deps skcry"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OSError(f"{path}: cannot be read ({error.strerror}). {remedy}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise OSError(f"{path}: its checksum is {found[:12]}..., not {SHA256[:12]}..., so it is damaged. {remedy}")
    return {name: value.float() if value.ndim > 1 else value for name, value in safetensors.torch.load(content).items()}


def write_speech_plane(weights, bias, folder=FOLDER):
    """Write the plane that tells adult speech from embeddings of the network: weights (n_embedding,) and bias."""
    tensors = {"weights": np.asarray(weights, np.float32), "bias": np.asarray([bias], np.float32)}
    (Path(folder) / SPEECH).write_bytes(safetensors.numpy.save(tensors, metadata={"network": SHA256}))


@functools.cache
def read_speech_plane():
    """Return weights (n_embedding,) and bias in float32, read once.

    Raises
    ------
    OSError
        If the file is missing, cannot be read, or was made for another network.
    """
    path = FOLDER / SPEECH
    remedy = "Install skcry again: pip install --force-reinstall --no-deps skcry"
    try:
        with safetensors.safe_open(path, "numpy") as file:
            network, weights, bias = (file.metadata() or {}).get("network"), *map(file.get_tensor, ("weights", "bias"))
    except (OSError, safetensors.SafetensorError) as error:
        raise OSError(f"{path}: cannot be read ({error}). {remedy}") from error
    if network != SHA256:
        raise OSError(f"{path}: it belongs to another network ({network!s:.12}..., not {SHA256:.12}...). {remedy}")
    return weights, bias[0]

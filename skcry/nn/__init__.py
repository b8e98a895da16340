"""Networks: AlexNet, FrameCNN and their estimators, augmentation in training, and pretrained models of speech."""

from .alexnet import AlexNet
from .alexnet_classifier import AlexNetClassifier
from .augment import SpectrogramMask, SpectrogramMix
from .cry_cnn import CryCNN
from .frame_cnn import FrameCNN, FrameCNNClassifier
from .pretrained_embedding import PretrainedEmbedding
from .wav2vec2 import Wav2Vec2Embedding

__all__ = [
    "AlexNet",
    "AlexNetClassifier",
    "CryCNN",
    "FrameCNN",
    "FrameCNNClassifier",
    "PretrainedEmbedding",
    "SpectrogramMask",
    "SpectrogramMix",
    "Wav2Vec2Embedding",
]

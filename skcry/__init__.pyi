# The public names: what `skcry.__all__` lists, loaded on first use. Submodules first, then one line for each name.

from . import datasets as datasets
from . import events as events
from . import features as features
from . import io as io
from . import metrics as metrics
from . import nn as nn
from . import plotting as plotting
from . import review as review
from . import sharing as sharing
from . import signal as signal
from .detector import CryDetector as CryDetector
from .detector import Detection as Detection
from .detector import LiveEvent as LiveEvent
from .detector import LiveSecond as LiveSecond
from .excerpts import draw_excerpts as draw_excerpts
from .export import export_onnx as export_onnx
from .features.mel import MelSpectrogram as MelSpectrogram
from .features.stats import StatFeatures as StatFeatures
from .files import detect_files as detect_files
from .files import read_timelines as read_timelines
from .limit import LimitWindows as LimitWindows
from .nn.alexnet import AlexNet as AlexNet
from .nn.alexnet_classifier import AlexNetClassifier as AlexNetClassifier
from .nn.cry_cnn import CryCNN as CryCNN
from .nn.frame_cnn import FrameCNN as FrameCNN
from .nn.frame_cnn import FrameCNNClassifier as FrameCNNClassifier
from .nn.pretrained_embedding import PretrainedEmbedding as PretrainedEmbedding
from .nn.wav2vec2 import Wav2Vec2Embedding as Wav2Vec2Embedding
from .pipeline import make_cry_pipeline as make_cry_pipeline
from .sharing import load as load
from .sharing import load_pretrained as load_pretrained
from .sharing import save as save
from .signal.denoise import Denoise as Denoise
from .signal.gate import EnergyGate as EnergyGate
from .signal.highpass import HighPassFilter as HighPassFilter
from .summary import summarize as summarize
from .windows import Windower as Windower
from .windows import Windows as Windows

__version__: str

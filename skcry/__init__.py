"""skcry: detect infant crying in long recordings with scikit-learn estimators."""

import lazy_loader

__version__ = "0.1.0"

# Loaded on first use: `import skcry` stays quick, and torch, skorch and librosa load when they are needed.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["datasets", "events", "features", "io", "metrics", "nn", "signal"],
    submod_attrs={
        "batch": ["detect_files", "read_timelines"],
        "detector": ["CryDetector"],
        "excerpts": ["draw_excerpts"],
        "features.mel": ["MelSpectrogram"],
        "features.stats": ["StatFeatures"],
        "gate": ["EnergyGate"],
        "nn.alexnet": ["AlexNet"],
        "nn.classifier": ["AlexNetClassifier"],
        "nn.frames": ["FrameCNN", "FrameCNNClassifier"],
        "nn.wav2vec2": ["Wav2Vec2Embedding"],
        "pipeline": ["make_cry_pipeline"],
        "reporting": ["summarize"],
        "sharing": ["load", "save"],
        "signal.denoise": ["Denoise"],
        "signal.highpass": ["HighPassFilter"],
        "windows": ["Windower", "Windows"],
    },
)

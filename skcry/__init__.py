"""skcry: detect infant crying in long recordings with scikit-learn estimators."""

import lazy_loader

__version__ = "0.2.0"

# Loaded on first use: `import skcry` stays quick, and torch, skorch and librosa load when they are needed. The public
# names stand in __init__.pyi, which type checkers and editors read as well; a new one is added there alone.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Detectors as models of ONNX, for devices without Python's scientific libraries."""

from .onnx_model import export_onnx

__all__ = ["export_onnx"]

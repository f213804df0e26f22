"""A model for other programs: as a plain scikit-learn pipeline, and as an ONNX graph."""

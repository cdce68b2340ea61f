"""Handing a trained model to the world: SavedModel, TFLite and ONNX."""

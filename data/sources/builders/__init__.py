"""The paper's sets as builders for TensorFlow Datasets, one folder each, as TFDS wants them."""

"""Where pairs come from: files, the embedded sample set, the paper's sets, TensorFlow Datasets."""

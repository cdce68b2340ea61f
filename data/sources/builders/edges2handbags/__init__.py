"""The TFDS builder of the data set edges2handbags."""

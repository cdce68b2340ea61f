"""The TFDS builder of the data set facades."""

"""The TFDS builder of the data set cityscapes."""

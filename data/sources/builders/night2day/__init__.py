"""The TFDS builder of the data set night2day."""

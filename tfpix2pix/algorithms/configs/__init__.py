"""The sections that algorithms add to a run's config; no TensorFlow here."""

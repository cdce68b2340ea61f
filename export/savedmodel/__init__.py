"""SavedModels: signatures for TensorFlow Serving, and the network alone."""

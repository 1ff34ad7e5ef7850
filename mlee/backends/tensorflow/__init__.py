"""TensorFlow: the classifiers of keras.applications, and QuickNet where larq is installed."""

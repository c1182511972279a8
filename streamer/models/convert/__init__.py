"""Weights of installed packages to ONNX: nothing of TensorFlow or dlib is needed at run time."""

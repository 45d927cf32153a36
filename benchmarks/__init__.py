"""Step times of this code, of Keras' `model.fit` and of native code: `python -m benchmarks.run`."""

"""The models, from Keras layers and `keras.ops` alone; `registry` knows their names."""

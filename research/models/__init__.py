"""The models, written only with Keras layers and `keras.ops`. `registry` knows their names."""

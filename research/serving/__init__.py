"""A trained run as one object, and as one artefact that needs neither this package nor Keras."""

"""Step times of our code, of Keras's `model.fit`, and of native code.

Four commands, each started as `python -m benchmarks.NAME`:

  run      times training steps, inference and tokenizing on every backend
  scale    shows what a larger corpus costs
  serving  shows how fast exported models answer
  table    makes tables and a figure from the records of the others
"""

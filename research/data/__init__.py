"""From a corpus to integer arrays: corpora and splits, tokens, word vectors."""

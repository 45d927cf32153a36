"""From a corpus to integer arrays: corpora, splits, tokens and word vectors."""

"""The tabular learners on the climbing game, three players."""

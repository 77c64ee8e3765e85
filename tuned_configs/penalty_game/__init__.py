"""The tabular learners on the penalty game, k = -100."""

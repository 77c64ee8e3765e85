"""The tabular learners on the climbing game, partially stochastic."""

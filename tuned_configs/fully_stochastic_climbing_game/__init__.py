"""The tabular learners on the climbing game, fully stochastic."""

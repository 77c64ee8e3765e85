"""Configurations that reach a known result, one Python file each, grouped by game.

A file of an RLlib algorithm holds `config` (an `AlgorithmConfig`) and `stop` (a dict), for `rommeo
train` and `rommeo sweep`; one of a tabular learner holds `learner`, `settings`, `game`,
`game_settings` and `plays_per_episode`, for `rommeo sweep`. Its docstring names the result that it
reaches.
"""

"""Configurations that reach a known result, one Python file each, grouped by game.

A file holds `config` (an RLlib `AlgorithmConfig`) and `stop` (a dict); its docstring names the
result that it reaches.
"""

"""Checkpoints and bundles: written whole, read checked."""

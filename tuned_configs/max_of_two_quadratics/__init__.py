"""The differential game of the paper's Section 5.2."""

"""The iterated climbing game of the paper's Section 5.1."""

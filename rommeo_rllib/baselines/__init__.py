"""The continuous algorithms that ROMMEO-AC is compared with, one package a family."""

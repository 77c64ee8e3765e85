"""The tabular learners on the coordination grid."""

"""Statistics and figures of results; knows tables of numbers, not how they were made."""

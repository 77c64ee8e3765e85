"""Joint transitions: how they are taken from episodes, stored and drawn."""

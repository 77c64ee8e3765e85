"""Settings: what RLlib's configuration may say, checked before anything is built."""

"""What a person sets up: the configuration, keys, themes, and what is remembered."""

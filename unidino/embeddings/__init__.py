"""From plates and a model to a table of vectors a plate."""

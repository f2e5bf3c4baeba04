"""Callbacks of the page: they connect its controls to what `views` computes."""

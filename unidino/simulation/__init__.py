"""Small screens whose truth is known."""

"""Small screens whose truth is known, and an endless stream of planes of every kind."""

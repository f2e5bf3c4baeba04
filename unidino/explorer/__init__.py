"""A page over a lake in the browser."""

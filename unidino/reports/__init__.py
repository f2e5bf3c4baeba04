"""One self-contained page about a lake."""

"""One picture for each question."""

"""Drawing: one function for each figure, which takes rows and returns a matplotlib figure."""

"""The layout of the page; callbacks fill it with data."""

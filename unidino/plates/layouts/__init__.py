"""One vendor or published layout a file: from its tables and names to the manifest."""

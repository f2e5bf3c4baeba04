"""A folder with a catalog: tables, runs, immutable parts and the pixels of plates."""

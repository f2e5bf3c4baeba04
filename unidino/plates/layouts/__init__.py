"""Layouts of images on disk, one per file: from tables and file names to rows of the manifest."""

"""From an export on disk to OME-Zarr plates and rows of the catalog."""

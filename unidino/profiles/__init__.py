"""From embeddings to normalized profiles of wells, treatments and compounds."""

"""What turns images into vectors: networks, measured features, random baselines."""

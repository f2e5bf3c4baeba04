"""From images to a model by DINO."""

"""Input and output: images, meshes, results and pictures."""

"""House tools: what `make` runs; not part of the product."""

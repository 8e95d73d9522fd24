"""What a person gives: files, folders, manifests, glossaries. `requests` makes entries of a run from them."""

"""The Make API, version 2: what operators' tools and Make's own clients speak, below `/api/v2`."""

"""The services: manifests that say which routes and loops a role runs."""

"""The faces: everything a request can reach, from the edge to the pages."""

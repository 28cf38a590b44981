"""Requests for credentials: an end user hands connections and keys over by a link."""

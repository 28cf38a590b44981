"""Seeing inside: metrics and logs."""

"""Traces: what a request, its run and its calls took, handed to a collector of the operator's own.

``context`` is how a trace is written between processes, ``spans`` what the rest of the program calls, ``tracer`` where
traces begin and are chosen. ``exporting`` and ``encoding`` are only there where an endpoint is set: nothing else
imports them, and nothing of OpenTelemetry is loaded without one.
"""

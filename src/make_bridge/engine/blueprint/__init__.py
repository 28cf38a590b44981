"""Blueprints: parsed to a model, validated with findings, compiled to a program that runs many times."""

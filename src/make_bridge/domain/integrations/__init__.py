"""Flows through the wizard and the catalogue a customer sees."""

"""Tests of the documentation: its examples are carried out, its site is built."""

"""The modules a blueprint may use, one file per app; `catalogue.py` lists them all."""

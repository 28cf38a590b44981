"""Data stores: records that scenarios keep from run to run."""

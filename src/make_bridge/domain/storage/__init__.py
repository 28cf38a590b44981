"""What is kept of runs, for how long and how much; what the tables take."""

"""Between processes: a gateway that hands requests on, and who serves them without asking for credentials again."""

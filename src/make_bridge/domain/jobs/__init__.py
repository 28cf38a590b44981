"""Jobs as people see them: what waits, runs or failed, cancelled and begun again. The queue is the platform's."""

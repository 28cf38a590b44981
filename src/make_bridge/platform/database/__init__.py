"""PostgreSQL: the embedded server, pools, roles, transactions and migrations."""

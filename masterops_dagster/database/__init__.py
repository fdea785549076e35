"""PostgreSQL: the embedded server, connections, migrations, locks and rate budgets."""

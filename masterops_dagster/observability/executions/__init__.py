"""What ran: taken over from Dagster, n8n and dbt into one table, and what runs now."""

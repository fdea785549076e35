"""masterops: business systems into PostgreSQL, KPIs on top, kept fresh and watched by Dagster."""

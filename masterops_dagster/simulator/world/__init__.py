"""The world that all stand-ins share: one set of people, products and orders, kept in SQLite, moved by business time."""

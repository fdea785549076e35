"""The world that all stand-ins share: people, products and orders, kept in SQLite, moved by business time."""

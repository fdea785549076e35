"""Who is told what, and that it arrives: contacts and routes, the outbox, the channels."""

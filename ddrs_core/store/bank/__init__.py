"""Memory banks in the database."""

"""Users: people who sign in and service accounts that hold keys, with the roles they hold."""

"""Sessions of the console: who signed in, with an admin key or an OpenID provider."""

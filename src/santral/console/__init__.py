"""The web console: pages drawn on the server, in English and Turkish, that treat content as text."""

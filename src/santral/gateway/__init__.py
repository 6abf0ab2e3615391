"""The request path: api -> pipeline -> stages."""

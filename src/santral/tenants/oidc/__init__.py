"""Single sign-on by OpenID Connect: the provider vouches for a person, Santral decides what they may."""

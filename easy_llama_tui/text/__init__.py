"""How text becomes lines for the screen."""

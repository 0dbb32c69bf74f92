"""The page's addresses, a module a matter; each names its own in ROUTES."""

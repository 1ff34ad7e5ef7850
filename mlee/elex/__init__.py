"""The explorer (ELEx): a page on which results are compared. `mlee.elex.app.create_app` makes it."""

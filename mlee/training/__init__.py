"""What a training needs whatever the framework: learning rates, when to stop, and what must survive a kill."""

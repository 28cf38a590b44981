"""The domain: one folder per noun, each with messages, model, handlers, views and store."""

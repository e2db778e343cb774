"""Results as text: tables, JSON, CSV, Markdown, HTML. Everything here returns strings; nothing prints."""

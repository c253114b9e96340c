"""What `nightdesk check` looks at, a module a subject."""

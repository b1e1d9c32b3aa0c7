"""What a person is writing: typed lines, paths, attachments, history."""

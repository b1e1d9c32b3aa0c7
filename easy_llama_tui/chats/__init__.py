"""Chats: what is said in them as a tree, and their files."""

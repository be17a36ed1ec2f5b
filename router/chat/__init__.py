"""Chats with a modem, in the language of chat(8), without input, output or a clock."""

"""The pages of chats. Every action is a plain form that answers with a redirect.

The scripts of the chat page press the same buttons with the header `X-Fragment: 1` and get back the part of
the page that changed: the thread, or the list of chats.
"""

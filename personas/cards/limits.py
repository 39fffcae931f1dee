"""What a character card may weigh. A card of a well-known character with its lorebook is about 15 KB of
JSON; the largest ones people trade stay under 256 KB, some 60,000 tokens.
"""

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_JSON_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_CHUNKS = 20_000
MAX_PIXELS = 4096 * 4096

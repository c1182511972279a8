"""Who is there now, told as it happens: sightings and identity events in, notices out."""

from streamer.presence.fold import Presence
from streamer.presence.kept import Kept, Missed, parse_key
from streamer.presence.notices import SCHEMA, TYPES, Book, Notice, Stay, label
from streamer.presence.rules import Rules

__all__ = ["SCHEMA", "TYPES", "Book", "Kept", "Missed", "Notice", "Presence", "Rules", "Stay", "label", "parse_key"]

"""Notices and presence over MQTT, with the discovery messages Home Assistant understands.

PREFIX/available             online | offline (last will), retained
PREFIX/events                every notice: {type: new|update|end|retract|..., before, after, notice}
PREFIX/CAMERA/state          live | stalled | down | ..., retained
PREFIX/CAMERA/count          people in view, retained
PREFIX/CAMERA/unknown        people in view nobody has named, retained
PREFIX/CAMERA/person_7       ON | OFF, retained
PREFIX/person/7              ON | OFF, at any camera, retained
PREFIX/person/7/attributes   {name, cameras, since, seen}, retained
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from typing import Any

from pipelines.live.sinks.base import Sink, UndeliveredError
from streamer.errors import ConfigError
from streamer.presence import Book, Notice, Stay
from streamer.watching import Health

KINDS = {"enter": "new", "update": "update", "replace": "update", "unknown": "update", "exit": "end"}
SETTLE = 10.0  # s a broker may take to acknowledge a batch


def topic_part(text: str) -> str:
    """`text` as one level of a topic and as part of an entity id: letters, digits, _ and - only.

    >>> topic_part("Hall / door #1")
    'Hall_door_1'
    """
    return re.sub(r"[^0-9A-Za-z_-]+", "_", text).strip("_") or "camera"


class Mqtt(Sink):
    """A connection that is made again for ever; at each one the retained topics are brought up to date.

    `discovery` is Home Assistant's prefix, empty for none; `discover` says for whom: "named" people or "all".
    The password comes from `password_env` or `password_file`.
    """

    kind = "mqtt"

    def __init__(
        self,
        host: str,
        *,
        port: int = 0,
        user: str = "",
        password: str = "",
        tls: bool = False,
        ca: str = "",
        prefix: str = "whowhen",
        discovery: str = "homeassistant",
        discover: str = "named",
        types: Sequence[str] = (),
        cameras: Sequence[str] = (),
        limit: int = 10_000,
    ) -> None:
        super().__init__(f"mqtt {host}", cameras=cameras, limit=limit)
        if re.search(r"[+#\x00]", prefix) or not prefix or discover not in ("named", "all"):
            raise ConfigError(f"{self.name}: prefix is a topic without + and #, discover is named or all.")
        try:
            import paho.mqtt.client as paho
        except ImportError as error:
            raise ConfigError(f"{self.name} needs paho-mqtt. Run: pip install 'whowhen[live]'") from error
        self.prefix, self.discovery, self.named_only = prefix.strip("/"), discovery.strip("/"), discover == "named"
        self.address = (host, port or (8883 if tls else 1883))
        self._told_types, self._password = frozenset(types), password
        self._book = Book()
        self._retained: dict[str, str] = {}  # topic -> what the broker should hold
        self._health: dict[str, Health] = {}
        self._connected = threading.Event()
        self._refused = ""
        self._fresh = True  # a connection whose retained topics are not up to date yet
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="", protocol=paho.MQTTv311)
        client.username_pw_set(user or None, password or None)
        if tls or ca:
            client.tls_set(ca_certs=ca or None)
        client.will_set(f"{self.prefix}/available", "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, 30)
        client.on_connect, client.on_disconnect, client.on_message = (
            self._on_connect,
            self._on_disconnect,
            self._on_message,
        )
        self._client = client

    def secrets(self) -> tuple[str, ...]:
        return (self._password,)

    def opened(self) -> None:
        self._client.connect_async(*self.address, keepalive=30)
        self._client.loop_start()

    def health(self, health: Health) -> None:
        self._health[health.camera] = health
        with self._changed:
            self._changed.notify_all()

    pause = 1.0  # s after which a camera's state is told although nobody came or went

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Raises UndeliveredError while there is no connection; a batch that comes again is told again."""
        self._online()
        wanted: list[Any] = []
        for notice in notices:
            before = self._book.stays.get(notice.stay.id) if notice.stay else None
            self._book.apply(notice)
            if not self._told_types or notice.type in self._told_types:
                wanted.append(self._client.publish(f"{self.prefix}/events", _event(notice, before), qos=1))
        self._book.prune(notices[-1].at - 3600.0)
        self._refresh(wanted)

    def work(self) -> None:
        if self._connected.is_set():
            try:
                self._refresh([])
            except UndeliveredError as error:
                self.problem = str(error)

    def closed(self) -> None:
        if self._connected.is_set():
            self._client.publish(f"{self.prefix}/available", "offline", qos=1, retain=True)
            self._client.disconnect()  # sends what is queued first
        self._client.loop_stop()

    # ------------------------------------------------------------------ retained topics
    def _refresh(self, sent: list[Any]) -> None:
        """Publishes retained topics that changed, and waits until the broker has everything."""
        wanted = self._wanted()
        if self._fresh:
            self._fresh = False
            self._client.subscribe(
                [(f"{self.prefix}/+/+", 0), (f"{self.discovery or self.prefix}/binary_sensor/+/config", 0)]
            )
            self._retained = {}
        for topic in [t for t in self._retained if t not in wanted]:
            sent.append(self._client.publish(topic, _gone(topic), qos=1, retain=True))
            del self._retained[topic]
        for topic, value in wanted.items():
            if self._retained.get(topic) != value:
                sent.append(self._client.publish(topic, value, qos=1, retain=True))
                self._retained[topic] = value
        for info in sent:
            try:
                info.wait_for_publish(SETTLE)
            except (RuntimeError, ValueError) as error:
                self._fresh = True
                raise UndeliveredError(f"{self.name} lost the connection ({error})") from error
            if not info.is_published():
                self._fresh = True
                raise UndeliveredError(f"{self.name} does not acknowledge")

    def _wanted(self) -> dict[str, str]:
        """Every retained topic and its value as of now."""
        out = {f"{self.prefix}/available": "online"}
        present = self._book.present()
        cameras = {*self._health, *(s.camera for s in self._book.stays.values())}
        for camera in sorted(c for c in cameras if not self.cameras or c in self.cameras):
            here = [s for s in present if s.camera == camera]
            top = f"{self.prefix}/{topic_part(camera)}"
            out[f"{top}/count"] = str(len(here))
            out[f"{top}/unknown"] = str(sum(not self._book.names.get(s.person or 0) for s in here))
            if camera in self._health:
                out[f"{top}/state"] = self._health[camera].state
            out |= self._camera_entities(camera)
        for person in sorted({s.person for s in self._book.stays.values() if s.person is not None}):
            out |= self._person(person, [s for s in present if s.person == person])
        return out

    def _person(self, person: int, here: list[Stay]) -> dict[str, str]:
        known = [s for s in self._book.stays.values() if s.person == person]
        cameras = {s.camera for s in here}
        told = {
            "name": self._book.label(person),
            "cameras": sorted(cameras),
            "since": min((s.start for s in here), default=None),
            "seen": max(s.seen for s in known),
        }
        out = {
            f"{self.prefix}/person/{person}": "ON" if here else "OFF",
            f"{self.prefix}/person/{person}/attributes": json.dumps(told),
        }
        for camera in {s.camera for s in known}:
            state = "ON" if camera in cameras else "OFF"
            out[f"{self.prefix}/{topic_part(camera)}/person_{person}"] = state
        if self.discovery and (self._book.names.get(person) or not self.named_only):
            out |= self._entity("binary_sensor", f"person_{person}", {
                "name": self._book.label(person),
                "state_topic": f"{self.prefix}/person/{person}",
                "json_attributes_topic": f"{self.prefix}/person/{person}/attributes",
                "payload_on": "ON",
                "payload_off": "OFF",
                "device_class": "occupancy",
            })  # fmt: skip
        return out

    def _camera_entities(self, camera: str) -> dict[str, str]:
        if not self.discovery:
            return {}
        part = topic_part(camera)
        out: dict[str, str] = {}
        for what, words, icon in (
            ("count", "people", "mdi:account-group"),
            ("unknown", "unknown people", "mdi:account-question"),
        ):
            out |= self._entity("sensor", f"{part}_{what}", {
                "name": f"{camera} {words}",
                "state_topic": f"{self.prefix}/{part}/{what}",
                "state_class": "measurement",
                "icon": icon,
            })  # fmt: skip
        return out

    def _entity(self, component: str, part: str, told: dict[str, str]) -> dict[str, str]:
        """The discovery message of one entity (MQTT discovery of Home Assistant)."""
        node = topic_part(self.prefix)
        config: dict[str, Any] = told | {
            "unique_id": f"{node}_{part}",
            "object_id": f"{node}_{part}",
            "availability_topic": f"{self.prefix}/available",
            "device": {"identifiers": [node], "name": "Whowhen", "manufacturer": "whowhen"},
            "origin": {"name": "whowhen"},
        }
        return {f"{self.discovery}/{component}/{node}_{part}/config": json.dumps(config, ensure_ascii=False)}

    # ------------------------------------------------------------------ called by the client's thread
    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            return
        self._refused, self._fresh = "", True
        self._connected.set()
        with self._changed:
            self._changed.notify_all()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._connected.clear()

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        """A retained word of an earlier run: somebody who is not here now, or an entity of somebody merged away."""
        mine = message.topic.startswith(
            (f"{self.prefix}/", f"{self.discovery}/binary_sensor/{topic_part(self.prefix)}_person_")
        )
        if not message.retain or not mine or message.topic in self._retained or not message.payload:
            return
        if message.payload == b"ON" or message.topic.endswith("/config"):
            client.publish(message.topic, _gone(message.topic), qos=1, retain=True)

    def _online(self) -> None:
        if not self._connected.wait(0.5):
            why = f" ({self._refused})" if self._refused else ""
            raise UndeliveredError(f"{self.name}:{self.address[1]} is not connected{why}")


def _gone(topic: str) -> str:
    """What to leave at a topic that holds no longer: nothing, but OFF for a presence somebody may be looking at."""
    last = topic.rpartition("/")[2]
    return "OFF" if last.startswith("person_") or last.isdecimal() else ""


def _event(notice: Notice, before: Stay | None) -> str:
    """The notice after the shape of Frigate's events."""
    told = notice.as_dict()
    was = None
    if before is not None:
        was = {"id": before.id, "person": before.person, "start": before.start, "end": before.end}
    after = told if notice.stay is not None and notice.type != "retract" else None
    kind = KINDS.get(notice.type, notice.type)
    return json.dumps({"type": kind, "before": was, "after": after, "notice": told}, ensure_ascii=False)

"""MQTT against a real broker: events, retained presence, last will, discovery for Home Assistant."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.live.sinks.mqtt import Mqtt
from streamer.presence import Notice, Presence
from streamer.watching import Health, Seen
from tests.pipelines.live.sinks.drawn import RULES, stream

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed (extra `live`)")
BROKER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(BROKER is None, reason="mosquitto is not installed (apt-get install mosquitto)")
USER, PASSWORD = "who", "Pl4nted-pw"


class Broker:
    """A mosquitto on a port of its own, which may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port: int = s.getsockname()[1]
        passwords = folder / "passwords"
        subprocess.run(
            ["mosquitto_passwd", "-b", "-c", str(passwords), USER, PASSWORD], check=True, capture_output=True
        )
        passwords.chmod(0o644)
        folder.chmod(0o755)
        self.config = folder / "broker.conf"
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(BROKER), "-c", str(self.config), "-v"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if b"running" in line:
                break
        self.drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.drain.start()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.drain.join()
            assert self.process.stderr is not None
            self.process.stderr.close()
            self.process = None


class Listener:
    """What a subscriber to everything has heard; `until` waits for it."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, str]] = []
        self.last: dict[str, str] = {}
        self.changed = threading.Condition()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(USER, PASSWORD)
        self.client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
        self.client.on_message = self._take
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(20)

    def _take(self, client: Any, data: Any, message: Any) -> None:
        with self.changed:
            self.heard.append((message.topic, message.payload.decode()))
            self.last[message.topic] = message.payload.decode()
            self.changed.notify_all()

    def until(self, wanted: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(wanted, 20), self.heard

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    made = Listener(broker.port)
    yield made
    made.close()


def sink(broker: Broker, **options: Any) -> Mqtt:
    return Mqtt("127.0.0.1", port=broker.port, user=USER, password=PASSWORD, **options)


def entered(people: int = 1) -> tuple[Presence, list[Notice]]:
    presence = Presence(9, RULES, names={1: "Ann Lee"})
    faces = [Seen(p, (1.0, 2.0, 30.0, 40.0), 0.9, p) for p in range(1, people + 1)]
    return presence, [*presence.begin(1.0), *presence.frame("front door", 10.0, faces)]


def test_presence_is_retained_and_goes_off(broker: Broker, listener: Listener) -> None:
    mqtt = sink(broker)
    mqtt.start()
    presence, notices = entered(2)
    mqtt.put(notices)
    mqtt.health(Health("front door", "live", 1.0))
    listener.until(lambda: {"whowhen/front_door/state", "whowhen/front_door/person_2"} <= set(listener.last))
    listener.until(lambda: "whowhen/person/1/attributes" in listener.last)
    assert listener.last["whowhen/person/1"] == "ON"
    assert listener.last["whowhen/available"] == "online"
    assert (listener.last["whowhen/front_door/count"], listener.last["whowhen/front_door/unknown"]) == ("2", "1")
    assert listener.last["whowhen/front_door/person_2"] == "ON"
    assert json.loads(listener.last["whowhen/person/1/attributes"])["name"] == "Ann Lee"
    mqtt.put(presence.frame("front door", 20.0, []))
    listener.until(lambda: listener.last["whowhen/front_door/count"] == "0")
    listener.until(lambda: listener.last["whowhen/person/1"] == listener.last["whowhen/front_door/person_1"] == "OFF")
    assert listener.last["whowhen/person/1"] == listener.last["whowhen/front_door/person_1"] == "OFF"
    events = [json.loads(v) for t, v in listener.heard if t == "whowhen/events"]
    assert [e["type"] for e in events] == ["begin", "new", "new", "end", "end"]
    assert events[3]["before"]["end"] is None
    assert events[3]["after"]["end"] == 10.0
    mqtt.close()
    listener.until(lambda: listener.last["whowhen/available"] == "offline")
    late = Listener(broker.port)
    late.until(lambda: late.last.get("whowhen/person/1") == "OFF")
    late.close()


def test_named_people_and_cameras_are_discovered_by_home_assistant(broker: Broker, listener: Listener) -> None:
    mqtt = sink(broker)
    mqtt.start()
    presence, notices = entered(2)
    mqtt.put(notices)
    topic = "homeassistant/binary_sensor/whowhen_person_{}/config"
    listener.until(lambda: topic.format(1) in listener.last and "whowhen/person/2" in listener.last)
    config = json.loads(listener.last[topic.format(1)])
    assert config["state_topic"] == "whowhen/person/1"
    assert (config["name"], config["device_class"], config["availability_topic"]) == (
        "Ann Lee", "occupancy", "whowhen/available",
    )  # fmt: skip
    assert config["unique_id"] == "whowhen_person_1"
    assert topic.format(2) not in listener.last  # nobody has named them
    listener.until(lambda: "homeassistant/sensor/whowhen_front_door_count/config" in listener.last)
    assert json.loads(listener.last["homeassistant/sensor/whowhen_front_door_count/config"])["state_topic"] == (
        "whowhen/front_door/count"
    )
    mqtt.put(presence.corrected({1: "Ann Lee"}, {}, {1: 2}, 11.0))  # 1 was somebody else all along
    listener.until(lambda: listener.last[topic.format(1)] == "")
    listener.until(lambda: listener.last["whowhen/person/1"] == "OFF")
    mqtt.close()


def test_a_broker_that_comes_back_is_told_everything(broker: Broker) -> None:
    mqtt = sink(broker)
    mqtt.start()
    _, notices = entered()
    broker.stop()  # nothing is kept on its disk
    mqtt.put(notices)
    broker.start()
    listener = Listener(broker.port)
    listener.until(lambda: listener.last.get("whowhen/person/1") == "ON" and "whowhen/events" in listener.last)
    listener.close()
    mqtt.close()
    assert mqtt.figures().lost == 0


def test_what_a_killed_run_left_on_is_put_off(broker: Broker, listener: Listener) -> None:
    old = sink(broker)
    old.start()
    old.put(entered(2)[1])
    listener.until(lambda: listener.last.get("whowhen/person/2") == "ON")
    assert old._client.socket() is not None
    old._client.socket().close()  # as a kill does: no goodbye, the last will speaks
    old._client.loop_stop()
    listener.until(lambda: listener.last["whowhen/available"] == "offline")
    new = sink(broker)
    new.start()
    new.put(Presence(10, RULES).begin(50.0))
    listener.until(lambda: listener.last["whowhen/person/2"] == "OFF" and listener.last["whowhen/person/1"] == "OFF")
    listener.until(lambda: listener.last["whowhen/front_door/person_1"] == "OFF")
    new.close()
    old._closing.set()


def test_a_wrong_password_is_told_without_the_password(broker: Broker) -> None:
    mqtt = Mqtt("127.0.0.1", port=broker.port, user=USER, password="Wr0ng")
    mqtt.start()
    mqtt.put(stream())
    told = threading.Event()
    refused = mqtt._on_connect

    def connect(*a: Any) -> None:
        refused(*a)
        told.set()

    mqtt._client.on_connect = connect
    assert told.wait(20)
    with pytest.raises(Exception, match="not connected") as caught:
        mqtt.deliver(stream())
    assert "uthor" in str(caught.value)
    assert "Wr0ng" not in str(caught.value)
    mqtt.close(0.1)

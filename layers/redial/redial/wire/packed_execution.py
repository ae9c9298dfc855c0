"""The packed form of a stored execution: its history is compressed, so that the item stays under 1 KB.

DynamoDB charges each write by the size of the whole item. The history of a retried call grows with each attempt, and
every event writes it again. An item over 1 KB is therefore stored with

    z1  an object with the values of `ch`, `dl` and `rc`: JSON, with rows in the form of `_differences`, compressed by
        raw deflate with the preset dictionary `VOCABULARY_1`, in Base64
    ch  [["z1"], [status, at, attempt] of the newest status]

instead of these attributes. `unpacked` restores them; only the stored item is packed. Smaller items are stored plainly,
and each save decides again.

A version that does not know the packed form raises ValueError for `["z1"]` instead of misreading the call. An item is
therefore packed only if the version that created it (`MAY_PACK`) could read the packed form, and only `PACK_AFTER` its
creation: by then, a gradual deployment of that version is over or rolled back.
"""

import base64
import json
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from redial.domain.status import Status

WRITE_BYTES = 1024
"""Bytes per write unit, rounded up."""
MAY_PACK = "pz"
"""Attribute of items created by a version that reads the packed form. It is kept like an unknown name."""
PACK_AFTER = timedelta(minutes=25)
"""Minimum age of an item to be packed: longer than a gradual deployment takes."""
PACKED = "z1"
"""Attribute with the packed history, and the kind of the first change in `ch`. A new dictionary needs a new name."""
VOCABULARY_1 = (
    b'"retries are not enabled""the retry is used""voicemail""answered""the call was canceled before it was answered"'
    b'"the call was declined, and is not retried again""the carrier refused the number for good""x-stopping""late-'
    b'report""found""unknown","balance-low","error","stopped","canceled","deferred",{"k":"SPXICWLRK","s":1,"c":2,"n":true,'
    b'"p":true,"b":true["rescheduled",1,1,{"u":"detected",1000,1,{"v":true}],["call-disconnected",1000,1],["completed",'
    b'1000,1,{"r":"the call was answered and has ended","d":10,"g":10,"h":"callee"["in-progress",1000,1]["failed",1000,'
    b'1,{"o":"404","r":"480","r":"503","r":"["busy",1000,1,{"r":"the line was busy","o":"486"}],'
    b'"e":"all 3 retries used"}]],"dl":{"s":10,"l":"","u":1000000,"p":[],"r":1,"n":1000000,"x":[1,0,503,1,"timed out"'
    b'],"g":[[1,100,200,1],1000,30000,500,1800000,2000]},"rc":[true,3,["no-answer","busy","failed"],false,[30,60]]}'
    b'{"ch":[["scheduled",0,1,{"u":1000000,"m":1}],["queued",0,1],["claimed",500,1,{"l":0,"f":"+1","w":"00000000."}],'
    b'["initiated",500,1,{"i":"CA0123456789abcdef"}],["ringing",2000,1],["no-answer",30000,1,{"r":"nobody answered",'
    b'"o":"487"}],["scheduled",1,2,{"u":1000000,"m":10}],["claimed",1800000,2,{"l":0,"f":"+1'
)
"""Preset dictionary of `z1`: typical parts of histories, the most frequent last. Never edit it: items depend on it."""

compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Stored lists and objects as text."""
_HISTORY = ("ch", "dl", "rc")
_STATUSES = frozenset(Status)


def packed(item: dict[str, Any]) -> dict[str, Any]:
    """The form to store of a plain `item`: packed if that saves write units, else unchanged."""
    units = _write_units(item)
    if units == 1 or MAY_PACK not in item:
        return item
    history: dict[str, Any] = {name: json.loads(item[name]) for name in _HISTORY if name in item}
    changes = history["ch"]
    if timedelta(milliseconds=changes[-1][1]) < PACK_AFTER:
        return item
    newest = next(change[:3] for change in reversed(changes) if change[0] in _STATUSES)
    kept = {name: value for name, value in item.items() if name not in history}
    small = kept | {"ch": compact_json([[PACKED], newest]), PACKED: _compressed(_with_rows(history, _differences))}
    return small if _write_units(small) < units else item


def unpacked(item: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `packed`. An item that is not packed is returned as it is."""
    if PACKED not in item:
        return item
    history = _with_rows(_decompressed(item[PACKED]), _sums)
    kept = {name: value for name, value in item.items() if name != PACKED}
    return kept | {name: compact_json(value) for name, value in history.items()}


Rows = list[Any]
"""The changes or the delivery log: lists that each begin with a kind or a sequence number, and a time."""


def _with_rows(history: dict[str, Any], form: Callable[[Rows], Rows]) -> dict[str, Any]:
    """The history with its rows in another form."""
    history = history | {"ch": form(history["ch"])}
    if "g" in history.get("dl", ()):
        history["dl"] = history["dl"] | {"g": form(history["dl"]["g"])}
    return history


def _differences(rows: Rows) -> Rows:
    """Rows with the milliseconds since the previous row as their times. An event that was delivered like the previous
    one is reduced to these milliseconds."""
    differences, before = [], [0, 0]
    for row in rows:
        first, at, *rest = row
        like = [before[0] + 1, *before[2:]] == [first, *rest] if isinstance(first, int) else False
        differences.append(at - before[1] if like else [first, at - before[1], *rest])
        before = row
    return differences


def _sums(rows: Rows) -> Rows:
    """The inverse of `_differences`."""
    sums, before = [], [0, 0]
    for row in rows:
        first, ms, *rest = row if isinstance(row, list) else [before[0] + 1, row, *before[2:]]
        before = [first, before[1] + ms, *rest]
        sums.append(before)
    return sums


def _compressed(history: dict[str, Any]) -> str:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -12, 8, zlib.Z_DEFAULT_STRATEGY, VOCABULARY_1)
    return base64.b64encode(deflate.compress(compact_json(history).encode()) + deflate.flush()).decode()


def _decompressed(text: str) -> dict[str, Any]:
    inflate = zlib.decompressobj(-12, VOCABULARY_1)
    history: dict[str, Any] = json.loads(inflate.decompress(base64.b64decode(text)) + inflate.flush())
    return history


def _write_units(item: dict[str, Any]) -> int:
    """An item's write units, by DynamoDB's rules for text, numbers and booleans; approximate for other types."""
    return -(-sum(len(name) + _size(value) for name, value in item.items()) // WRITE_BYTES)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bool):
        return 1
    return (len(str(value)) + 1) // 2 + 1 if isinstance(value, int) else len(str(value))

"""Reads the interfaces in the .d.ts files of Stripe's Node SDK.

The Python SDK writes `Optional[X]` both for a field that may be null and for one that may be absent.
The Node SDK tells them apart (`x: T | null`, `x?: T`), and describes deleted objects, so it is read for
these two facts. The files are written by a generator: the reader knows its forms and fails on others.
"""

import re
from pathlib import Path

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
BLOCK = re.compile(
    r"\s*(?:export\s+)?(?:declare\s+)?(?:(interface|namespace|class)\s+([\w$]+)([^{;]*)\{)"
)
FIELD = re.compile(r"\s*(?:readonly\s+)?'?([\w$-]+)'?(\?)?:\s*")
REFERENCE = re.compile(r"^[A-Za-z_$][\w$.]*$")


class Unparsed(Exception):
    """A form that the reader does not know."""


class Interface:
    """One interface: where it stands and its fields {name: (may be absent, may be null, type text)}."""

    def __init__(self, file, scope, name, fields):
        self.file = file
        self.scope = scope
        self.name = name
        self.fields = fields


def read_file(path):
    """{qualified name: Interface} of one file."""
    text = COMMENT.sub("", path.read_text(encoding="utf-8"))
    found = {}
    read_body(text, 0, path, (), found)
    return found


def read_body(text, at, path, scope, found):
    """Reads the declarations from `at` to the closing brace; returns the position after it."""
    while at < len(text):
        gap = re.compile(r"\s*").match(text, at).end()
        if gap >= len(text):
            return gap
        if text[gap] == "}":
            return gap + 1
        block = BLOCK.match(text, at)
        if not block:
            at = skip_statement(text, gap)
            continue
        kind, name = block.group(1), block.group(2)
        if kind == "namespace":
            at = read_body(text, block.end(), path, (*scope, name), found)
        elif kind == "interface":
            fields, at = read_fields(text, block.end(), path)
            found[".".join((*scope, name))] = Interface(path, scope, name, fields)
        else:
            at = skip_braces(text, block.end())
    return at


def read_fields(text, at, path):
    fields = {}
    while True:
        gap = re.compile(r"\s*").match(text, at).end()
        if text[gap] == "}":
            return fields, gap + 1
        match = FIELD.match(text, at)
        if not match:
            at = skip_statement(text, gap)
            continue
        end = skip_statement(text, match.end())
        type_text = text[match.end() : end - 1].strip()
        alternatives = split_union(type_text)
        fields[match.group(1)] = (
            match.group(2) == "?",
            "null" in alternatives,
            [part for part in alternatives if part != "null"],
        )
        at = end


def skip_statement(text, at):
    """The position after the `;` that ends the statement at `at`, or after its block."""
    depth = 0
    while at < len(text):
        char = text[at]
        if char == "'":
            at = text.index("'", at + 1)
        elif char in "{[(":
            depth += 1
        elif char in "}])":
            depth -= 1
        elif char == ";" and depth == 0:
            return at + 1
        at += 1
    raise Unparsed("a statement without an end")


def skip_braces(text, at):
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return at


def split_union(text):
    """The alternatives of a union type, split at its outermost bars."""
    parts, depth, last, at = [], 0, 0, 0
    while at < len(text):
        char = text[at]
        if char == "'":
            at = text.index("'", at + 1)
        elif char in "{[(<":
            depth += 1
        elif char in "}])>":
            depth -= 1
        elif char == "|" and depth == 0:
            parts.append(text[last:at].strip())
            last = at + 1
        at += 1
    parts.append(text[last:].strip())
    return parts


class Declarations:
    """All interfaces of the SDK."""

    def __init__(self, root):
        root = Path(root) / "esm"
        self.files = {
            path: read_file(path)
            for path in [root / "shared.d.ts", *sorted((root / "resources").rglob("*.d.ts"))]
        }
        self.shared = self.files[root / "shared.d.ts"]

    def objects(self, name):
        """The interfaces whose `object` is the literal `name`: (living, deleted), each or None."""
        living, deleted = [], []
        for interfaces in self.files.values():
            for interface in interfaces.values():
                if interface.fields.get("object", (0, 0, []))[2] == [f"'{name}'"]:
                    gone = interface.fields.get("deleted", (0, 0, []))[2] == ["true"]
                    (deleted if gone else living).append(interface)
        if len(living) > 1 or len(deleted) > 1:
            raise Unparsed(f"several interfaces are the object {name}")
        return (living[0] if living else None, deleted[0] if deleted else None)

    def nested(self, interface, field):
        """The interface that a field of `interface` holds, through arrays and maps, or None."""
        for part in interface.fields[field][2]:
            text = part
            while text.startswith("Array<"):
                text = text[len("Array<") : -1]
            keyed = re.match(r"^\{\s*\[key: string\]:\s*(.*?);?\s*\}$", text, re.DOTALL)
            text = keyed.group(1) if keyed else text
            if REFERENCE.match(text):
                found = self._resolve(interface, text)
                if found:
                    return found
        return None

    def _resolve(self, interface, reference):
        here = self.files[interface.file]
        scope = interface.scope
        while True:
            name = ".".join((*scope, reference))
            if name in here:
                return here[name]
            if not scope:
                return self.shared.get(reference)
            scope = scope[:-1]

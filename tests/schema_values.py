"""Values that fit a JSON Schema, for a server that is held to one; which value is decided by a number."""

from __future__ import annotations

import hashlib

WORDS = ["amber", "birch", "copper", "delta", "ember", "fjord", "garnet", "harbour", "indigo", "juniper"]

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


def fitting(schema: dict, chance: int, root: dict | None = None) -> Json:
    """A value of the kinds that prompts ask for: objects, arrays, scalars, enums, consts, anyOf, local references."""
    root = schema if root is None else root
    if "$ref" in schema:
        found = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return fitting(found, chance, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][chance % len(schema["enum"])]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return fitting(schema[several][chance % len(schema[several])], chance, root)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind if isinstance(kind, str) else kind[chance % len(kind)]
    if kind == "object":
        return {name: fitting(one, mixed(chance, name), root) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        count = min(max(schema.get("minItems", 2), 1), schema.get("maxItems", 64))
        return [fitting(schema.get("items", {}), mixed(chance, str(place)), root) for place in range(count)]
    return scalar(kind, schema, chance)


def scalar(kind: str, schema: dict, chance: int) -> Json:
    if kind in ("integer", "number"):
        low = int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 0))
        high = int(schema.get("maximum", schema.get("exclusiveMaximum", low + 11) - 1))
        return low + chance % (max(high, low) - low + 1)
    if kind == "boolean":
        return chance % 2 == 0
    if kind == "null":
        return None
    text = " ".join(WORDS[(chance >> shift) % len(WORDS)] for shift in (0, 4, 8))
    text += " more" * -(-max(0, schema.get("minLength", 0) - len(text)) // 5)
    return text[: schema.get("maxLength", len(text))]


def mixed(chance: int, name: str) -> int:
    """A number for a part of a value, decided by the whole's and the part's name."""
    return int.from_bytes(hashlib.sha256(f"{chance} {name}".encode()).digest()[:8], "big")

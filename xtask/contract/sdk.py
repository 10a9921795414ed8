"""Reads Stripe's Python SDK as text: classes, annotations and the requests that services make.

Nothing of the SDK is imported or run; `ast` reads its source, so what is written down is exactly what
its type annotations say.
"""

import ast
from pathlib import Path


class Unreadable(Exception):
    """An annotation or a class of a form that this reader does not know: extend it, do not guess."""


class Module:
    """One source file: its classes and the names it imports."""

    def __init__(self, path):
        self.path = path
        self.classes = {}
        self.imports = {}
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (node.module, alias.name)
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, ast.Assign) and is_functional_typed_dict(node.value):
                self.classes[node.targets[0].id] = node.value


def is_functional_typed_dict(node):
    """`Base = TypedDict("Base", {"in": ...})`, the form for fields named like keywords."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "TypedDict"
    )


class Sdk:
    """The installed package `stripe`, file by file."""

    def __init__(self, root):
        self.root = Path(root)
        self._modules = {}

    def module(self, name):
        """The module of a dotted name, `stripe.billing._meter`."""
        relative = Path(*name.split(".")[1:])
        path = self.root / relative.with_suffix(".py")
        if not path.exists():
            path = self.root / relative / "__init__.py"
        return self.at(path)

    def at(self, path):
        """The module in a file."""
        if path not in self._modules:
            self._modules[path] = Module(path)
        return self._modules[path]

    def objects(self):
        """Every class with an OBJECT_NAME: {name: (module, class node)}."""
        found = {}
        for path in sorted(self.root.rglob("*.py")):
            for node in self.at(path).classes.values():
                name = object_name(node)
                if name and name not in ("list", "search_result"):
                    if name in found:
                        raise Unreadable(f"two classes are named {name}")
                    found[name] = (self.at(path), node)
        return found

    def resolve(self, name, module, enclosing):
        """The class that `name` means inside the nested classes `enclosing` of `module`."""
        for outer in reversed(enclosing):
            for node in outer.body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return module, node, enclosing[: enclosing.index(outer) + 1]
        if name in module.classes:
            return module, module.classes[name], []
        if name in module.imports:
            source, original = module.imports[name]
            other = self.module(source)
            return self.resolve(original, other, [])
        raise Unreadable(f"{module.path}: no class {name}")


def object_name(node):
    """The OBJECT_NAME of a class, or None."""
    if not isinstance(node, ast.ClassDef):
        return None
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and getattr(item.target, "id", "") == "OBJECT_NAME":
            return item.value.value if isinstance(item.value, ast.Constant) else None
    return None


def fields(node):
    """The annotated fields of a class, in source order: [(name, annotation)]."""
    if is_functional_typed_dict(node):
        keys = node.args[1]
        return [(key.value, value) for key, value in zip(keys.keys, keys.values)]
    found = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            if name != "OBJECT_NAME" and not name.startswith("_"):
                found.append((name, item.annotation))
    return found


SCALARS = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "Decimal": "decimal",
    "Any": "any",
}


class Types:
    """Turns annotations into the small type language of the contract (see contract/README.md)."""

    def __init__(self, sdk, object_nodes):
        self.sdk = sdk
        self.names = {id(node): name for name, (_, node) in object_nodes.items()}

    def read(self, annotation, module, enclosing):
        """The type of an annotation, with `nullable`, `required` and `clearable` where they apply."""
        parts = []
        flags = {}
        self._flatten(annotation, module, enclosing, parts, flags)
        return {**combine(parts), **flags}

    def _flatten(self, node, module, enclosing, parts, flags):
        """Collects the alternatives of a union; wrappers become flags."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            for side in (node.left, node.right):
                self._flatten(side, module, enclosing, parts, flags)
        elif isinstance(node, ast.Constant) and node.value is None:
            flags["nullable"] = True
        elif isinstance(node, ast.Name):
            parts.append(self._name(node.id, module, enclosing))
        elif isinstance(node, ast.Subscript):
            self._subscript(node, module, enclosing, parts, flags)
        else:
            raise Unreadable(f"{module.path}: {ast.unparse(node)}")

    def _subscript(self, node, module, enclosing, parts, flags):
        head = node.value.id
        inner = node.slice
        arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if head in ("Optional", "NotRequired"):
            flags["nullable" if head == "Optional" else "not_required"] = True
            self._flatten(inner, module, enclosing, parts, flags)
        elif head == "Union":
            for argument in arguments:
                self._flatten(argument, module, enclosing, parts, flags)
        elif head == "Literal":
            values = [ast.literal_eval(argument) for argument in arguments]
            if values == [""]:
                flags["clearable"] = True
            else:
                parts.append({"type": "enum", "values": sorted(values)})
        elif head == "List":
            parts.append({"type": "array", "of": self.read(inner, module, enclosing)})
        elif head in ("ListObject", "SearchResultObject"):
            kind = "list" if head == "ListObject" else "search_result"
            parts.append({"type": kind, "of": self.read(inner, module, enclosing)})
        elif head == "ExpandableField":
            whole = self.read(inner, module, enclosing)
            if whole["type"] == "object":
                parts.append({"type": "expandable", "objects": whole["objects"]})
            else:
                parts += [{"type": "string"}, whole]
        elif head in ("Dict", "UntypedStripeObject"):
            parts.append({"type": "map", "of": self.read(arguments[-1], module, enclosing)})
        else:
            raise Unreadable(f"{module.path}: {ast.unparse(node)}")

    def _name(self, name, module, enclosing):
        if name in SCALARS:
            return {"type": SCALARS[name]}
        where, node, outer = self.sdk.resolve(name, module, enclosing)
        if id(node) in self.names:
            return {"type": "object", "objects": [self.names[id(node)]]}
        return {"type": "struct", "fields": self.struct(node, where, outer)}

    def struct(self, node, module, enclosing):
        """The fields of a nested class, with those that its bases declare."""
        members = {}
        for base in getattr(node, "bases", []):
            if isinstance(base, ast.Name) and base.id in module.classes:
                members.update(self.struct(module.classes[base.id], module, []))
        inside = [*enclosing, node] if isinstance(node, ast.ClassDef) else enclosing
        for name, annotation in fields(node):
            members[name] = self.read(annotation, module, inside)
        return members


def combine(parts):
    """One type out of the alternatives of a union."""
    unique = []
    for part in parts:
        if part not in unique:
            unique.append(part)
    enums = [part for part in unique if part["type"] == "enum"]
    texts = [part for part in unique if part["type"] == "string"]
    objects = [part for part in unique if part["type"] == "object"]
    if enums and texts:
        unique = [part for part in unique if part not in texts]
        enums[0]["open"] = True
    if len(objects) > 1:
        unique = [part for part in unique if part["type"] != "object"]
        names = sorted(name for part in objects for name in part["objects"])
        unique.append({"type": "object", "objects": names})
    if not unique:
        # A parameter of type Literal[""]: it can be cleared, and nothing else.
        return {"type": "enum", "values": []}
    return unique[0] if len(unique) == 1 else {"type": "union", "of": unique}


def requests(sdk, path):
    """The requests a service file makes: [(method name, HTTP method, path, params class or None, returns)]."""
    module = sdk.at(path)
    found = []
    for service in module.classes.values():
        for function in service.body if isinstance(service, ast.ClassDef) else []:
            if isinstance(function, ast.FunctionDef):
                call = request_call(function)
                if call:
                    params = next((a for a in all_arguments(function) if a.arg == "params"), None)
                    found.append(
                        {
                            "service": f"{service.name}.{function.name}",
                            "method": call.args[0].value.upper(),
                            "path": path_template(call.args[1]),
                            "params": params_class(params),
                            "returns": function.returns,
                        }
                    )
    return module, found


def all_arguments(function):
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def request_call(function):
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "_request":
            return node
    return None


def path_template(node):
    """`"/v1/x/{id}".format(id=...)` or a plain string."""
    if isinstance(node, ast.Call):
        node = node.func.value
    return node.value


def params_class(argument):
    """The name of the class of `params`: the bare annotation, or within Optional."""
    if argument is None:
        return None
    node = argument.annotation
    if isinstance(node, ast.Subscript):
        node = node.slice
    return node.value
